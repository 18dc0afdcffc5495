"""What is told of each request once it is over: one log line, the counters, and attributes of its span. No text of it."""

import logging
import time

from opentelemetry import trace

from tandem_inference import metrics
from tandem_inference.gateway.caller import Caller
from tandem_inference.gateway.usage import Usage
from tandem_telemetry import names

logger = logging.getLogger(__name__)


class RequestRecord:
    """Filled while the request runs. `outcome` is completed, rejected by the engine, refused by us, left or cut_off."""

    def __init__(self, *, is_logged: bool) -> None:
        self.caller = Caller()
        self.model: str | None = (
            None  # once it is known to exist: metrics must not grow with what callers make up
        )
        self.engine: str | None = None
        self.status = 499  # the caller left before anything was sent
        self.outcome = "left"
        self.usage: Usage | None = None
        self._is_logged = is_logged
        self._arrived = time.perf_counter()
        self._admitted: float | None = None
        self._first_byte: float | None = None

    def admitted(self) -> None:
        """Note that the request runs now; only the first time counts."""
        if self._admitted is None:
            self._admitted = time.perf_counter()
            seconds = self._admitted - self._arrived
            metrics.QUEUE_WAIT.record(seconds, {names.REQUEST_CLASS: self.caller.request_class})

    def first_byte(self, status: int) -> None:
        """Note that the engine has begun to answer with `status`."""
        self._first_byte = time.perf_counter()
        self.status = status
        seconds = self._first_byte - self._arrived
        metrics.TIME_TO_FIRST_BYTE.record(seconds, {names.REQUEST_CLASS: self.caller.request_class})

    def used(self, usage: Usage | None) -> None:
        """Note the tokens. Before the last byte is sent: with that the request's span ends."""
        self.usage = usage
        span = trace.get_current_span()
        if usage is not None and span.is_recording():
            span.set_attributes(
                {
                    names.GEN_AI_INPUT_TOKENS: usage.prompt_tokens,
                    names.GEN_AI_OUTPUT_TOKENS: usage.completion_tokens,
                }
            )

    def refused(self, status: int) -> None:
        """Note that this service answers with an error of its own."""
        self.status, self.outcome = status, "refused"

    def finish(self) -> None:
        """Tell everything. Call once."""
        facts = {names.REQUEST_CLASS: self.caller.request_class.value}
        metrics.REQUESTS.add(1, facts | {"http.response.status_code": self.status})
        if self.outcome == "left":
            metrics.CLIENT_DISCONNECTS.add(1, facts)
        if self.usage is not None and self.model is not None:
            self._count_tokens(self.usage, facts | {names.GEN_AI_REQUEST_MODEL: self.model})
        if self._is_logged:
            logger.info("request.done", extra=self._told())

    def _count_tokens(self, usage: Usage, facts: dict[str, str]) -> None:
        metrics.TOKENS.add(usage.prompt_tokens, facts | {names.GEN_AI_TOKEN_TYPE: "input"})
        metrics.TOKENS.add(usage.completion_tokens, facts | {names.GEN_AI_TOKEN_TYPE: "output"})

    def _told(self) -> dict[str, object]:
        now = time.perf_counter()
        return {
            "class": self.caller.request_class.value,
            "tenant": self.caller.tenant or None,
            "engine": self.engine,
            "model": self.model,
            "status": self.status,
            "outcome": self.outcome,
            "prompt_tokens": self.usage and self.usage.prompt_tokens,
            "completion_tokens": self.usage and self.usage.completion_tokens,
            "seconds_waiting": round((self._admitted or now) - self._arrived, 4),
            "seconds_to_first_byte": self._first_byte and round(self._first_byte - self._arrived, 4),
            "seconds": round(now - self._arrived, 4),
        }
