"""Fetches the metrics that one engine publishes of itself, when somebody asks, and reads the few numbers that operators ask for."""

import asyncio
import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import httpx

from tandem_inference.engines.supervised_engine import SupervisedEngine
from tandem_inference.observation.exposition import Family, highest, read_families, total
from tandem_inference.observation.recent import Recent

_TIMEOUT_SECONDS: Final = 2.0
# vLLM's own; what its web server and Python publish beside them is the same for every process.
_ENGINES_OWN: Final = "vllm:"


@dataclass(frozen=True, slots=True)
class Page:
    """What one engine answered, or the reason why it did not: then `raw` is empty."""

    raw: bytes = b""
    content_type: str = "text/plain"
    families: Sequence[Family] = ()
    unavailable: str | None = None


@dataclass(frozen=True, slots=True)
class EngineNumbers:
    """The engine's own numbers, over all its data-parallel ranks; None where it does not tell.

    Tokens per second are means over the `over_seconds` between the last two fetches.
    """

    unavailable: str | None = None
    kv_cache_usage: float | None = None
    requests_running: int | None = None
    requests_waiting: int | None = None
    preemptions: int | None = None
    prompt_tokens: int | None = None
    generation_tokens: int | None = None
    prompt_tokens_per_second: float | None = None
    generation_tokens_per_second: float | None = None
    over_seconds: float | None = None

    def as_json(self) -> dict[str, Any]:
        """The fields, by name."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class _Count:
    """How many tokens one run of the engine had counted at one moment."""

    run: object
    at: float
    prompt: float
    generation: float


class EnginePage:
    """The metrics page of `engine`, fetched at most once a second and only while it may answer."""

    def __init__(self, engine: SupervisedEngine, client: httpx.AsyncClient) -> None:
        self._engine = engine
        self._client = client
        self._recent = Recent(self._fetch, patience_seconds=2 * _TIMEOUT_SECONDS)
        self._numbers = EngineNumbers()
        self._count: _Count | None = None

    async def get(self) -> Page:
        """Return the page, at most a second old. Takes a few seconds at most; never raises."""
        start = self._engine.start
        if start is None or start.ready_seconds is None:  # somebody else may have its port
            return Page(unavailable=f"the engine is {self._engine.state}")
        try:
            return await self._recent.get()
        except TimeoutError:
            return Page(unavailable="the engine's metrics could not be read in time")

    async def numbers(self) -> EngineNumbers:
        """Return what the page says, at most a second old. Takes a few seconds at most; never raises."""
        page = await self.get()
        return self._numbers if page.unavailable is None else EngineNumbers(unavailable=page.unavailable)

    async def _fetch(self) -> Page:
        page = await self._ask_engine()
        if page.unavailable is None:
            self._numbers = self._read(page)
        return page

    async def _ask_engine(self) -> Page:
        try:
            async with asyncio.timeout(_TIMEOUT_SECONDS):
                answer = await self._client.get(self._engine.base_url + "/metrics")
        except TimeoutError:
            return Page(unavailable=f"the engine did not answer GET /metrics within {_TIMEOUT_SECONDS:g} s")
        except httpx.HTTPError as error:
            return Page(unavailable=f"GET /metrics of the engine failed: {error or type(error).__name__}")
        if answer.status_code != httpx.codes.OK:
            return Page(
                unavailable=f"the engine answered GET /metrics with status {answer.status_code}, not 200"
            )
        families = await asyncio.to_thread(read_families, answer.text, prefix=_ENGINES_OWN)
        return Page(answer.content, answer.headers.get("content-type", "text/plain"), families)

    def _read(self, page: Page) -> EngineNumbers:
        found = page.families
        prompt, generation = (_whole(found, f"vllm:{kind}_tokens_total") for kind in ("prompt", "generation"))
        speed = self._speed(_Count(self._engine.start, time.monotonic(), prompt or 0, generation or 0))
        return EngineNumbers(
            unavailable=None if found else "the engine's metrics have none of vLLM's own",
            kv_cache_usage=_finite(highest(found, "vllm:kv_cache_usage_perc")),
            requests_running=_whole(found, "vllm:num_requests_running"),
            requests_waiting=_whole(found, "vllm:num_requests_waiting"),
            preemptions=_whole(found, "vllm:num_preemptions_total"),
            prompt_tokens=prompt,
            generation_tokens=generation,
            **speed,
        )

    def _speed(self, now: _Count) -> dict[str, float]:
        last, self._count = self._count, now
        if last is None or last.run is not now.run:  # the counters have begun anew
            return {}
        seconds = now.at - last.at
        return {
            "prompt_tokens_per_second": round((now.prompt - last.prompt) / seconds, 1),
            "generation_tokens_per_second": round((now.generation - last.generation) / seconds, 1),
            "over_seconds": round(seconds, 1),
        }


def _whole(families: Sequence[Family], name: str) -> int | None:
    number = _finite(total(families, name))
    return None if number is None else int(number)


def _finite(number: float | None) -> float | None:
    """`number`, unless it is NaN or endless, which JSON cannot say."""
    return number if number is not None and math.isfinite(number) else None
