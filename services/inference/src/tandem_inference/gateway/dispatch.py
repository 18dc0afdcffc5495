"""Takes one request through admission to an engine, and once more if that engine dies before it has answered.

Holds the request's slot from its turn to the end of its answer, and the engine's attention from its arrival.
"""

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from starlette.types import Send

from tandem_inference.engines.supervised_engine import SupervisedEngine
from tandem_inference.errors import DeadlineExceededError, EngineNotReadyError, QueueTimeoutError
from tandem_inference.gateway.admission.ticket import Ticket
from tandem_inference.gateway.asked import Asked
from tandem_inference.gateway.caller import DEADLINE_HEADER
from tandem_inference.gateway.engine_choice import EngineChoice
from tandem_inference.gateway.engine_http import EngineDiedError
from tandem_inference.gateway.exchange import Exchange
from tandem_inference.gateway.request_record import RequestRecord

logger = logging.getLogger(__name__)

_LOOK_EVERY_SECONDS = 0.1
_CLOCK_SLACK_SECONDS = 0.001  # a timer may fire a trifle early


class Dispatch:
    """The way of one request. `run` either sends the whole answer or raises before anything was sent."""

    def __init__(
        self,
        asked: Asked,
        copies: Sequence[SupervisedEngine],
        choice: EngineChoice,
        exchange: Exchange,
        record: RequestRecord,
    ) -> None:
        self._asked = asked
        self._copies = copies
        self._choice = choice
        self._exchange = exchange
        self._record = record
        self._was_retried = False
        self._waited_seconds = 0.0

    async def run(self, send: Send) -> None:
        """Answer the request through `send`.

        Raises:
            TransientError: it was not answered, and nothing was sent; the class tells why.
        """
        engine: SupervisedEngine | None = self._choice.best(self._copies)
        while engine is not None:
            engine = await self._answered_by(engine, send)

    async def _answered_by(self, engine: SupervisedEngine, send: Send) -> SupervisedEngine | None:
        """Have `engine` answer; return the copy to go on with when it dies, None when all is done."""
        self._record.engine = engine.declared.name
        asked, admission = self._asked, self._choice.admission(engine)
        ticket = Ticket(asked.caller.request_class, asked.caller.tenant, asked.prompts * asked.answers)
        with engine.use(asked.model):
            try:
                if asked.takes_slots:
                    await self._timed(engine, partial(admission.enter, ticket, first=self._was_retried))
                await self._timed(engine, partial(engine.wait_until_ready, model=asked.model))
                self._record.admitted()
                return await self._attempt(engine, send)
            finally:
                admission.leave(ticket)

    async def _attempt(self, engine: SupervisedEngine, send: Send) -> SupervisedEngine | None:
        while True:
            try:
                await self._exchange.run(self._asked, engine, send, self._record)
            except EngineDiedError as error:
                facts = {"engine": engine.declared.name, "error": str(error)}
                logger.warning("request.engine_died", extra=facts)
                if self._was_retried:
                    raise engine.not_ready() from None
                self._was_retried = True
            else:
                return None
            if (copy := self._choice.other_ready(self._copies, engine)) is not None:
                return copy
            # The slot is kept: every other request of this engine has died with it or waits behind.
            await self._timed(engine, partial(self._until_back, engine))

    async def _until_back(self, engine: SupervisedEngine, seconds: float) -> None:
        """Wait for an engine that has just died: for a moment its supervisor may still believe that it is ready."""
        try:
            async with asyncio.timeout(seconds):
                while True:
                    await engine.wait_until_ready(seconds, self._asked.model)
                    if await self._exchange.is_healthy(engine):
                        return
                    await asyncio.sleep(_LOOK_EVERY_SECONDS)
        except TimeoutError:
            raise engine.not_ready() from None

    async def _timed(self, engine: SupervisedEngine, wait: Callable[[float], Awaitable[None]]) -> None:
        """Wait no longer than the class may in all, nor so long that the deadline cannot be met."""
        limits = self._choice.admission(engine).limits.of(self._asked.caller.request_class)
        left = max(0.0, limits.longest_wait_seconds - self._waited_seconds)
        began = time.monotonic()
        try:
            await wait(min(left, self._seconds_to_spare(engine)))
        except (QueueTimeoutError, EngineNotReadyError):
            self._seconds_to_spare(engine)  # tells of the deadline, if that was what ended the wait
            raise
        finally:
            self._waited_seconds += time.monotonic() - began

    def _seconds_to_spare(self, engine: SupervisedEngine) -> float:
        """How long the request may still wait for its deadline to be met; DeadlineExceededError when it cannot be."""
        caller = self._asked.caller
        if caller.deadline is None:
            return math.inf
        fastest = self._exchange.recent.fastest_seconds(engine.declared.name, self._asked.path)
        left = caller.deadline - time.monotonic()
        if (spare := left - fastest) > _CLOCK_SLACK_SECONDS:
            return spare
        raise DeadlineExceededError(
            f"The answer was wanted within {left:.3g} s and was not begun; the fastest of the last took {fastest:.3g} s. "
            f"Allow more time in {DEADLINE_HEADER}."
            if left > _CLOCK_SLACK_SECONDS
            else f"The deadline passed before the request's turn came. Allow more time in {DEADLINE_HEADER}.",
            retry_after_seconds=self._choice.admission(engine).retry_after_seconds(caller.request_class),
        )
