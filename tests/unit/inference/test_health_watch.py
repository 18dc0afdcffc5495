"""A hanging engine is noticed by its silence or by counters that stand still; one that is slow, idle or dumb is left alone."""

import asyncio
from collections.abc import Callable

import httpx
import pytest

from tandem_inference.engines.health_watch import HangLimits, HealthWatch

LIMITS = HangLimits(silent_seconds=0.05, stalled_seconds=0.05)
MANY_LOOKS = 40


class Engine:
    """Answers as `health` and `page` tell, given the number of the look."""

    def __init__(self) -> None:
        self.looks = 0
        self.enough = asyncio.Event()
        self.busy = True
        self.health: Callable[[int], bool] = lambda _: True
        self.page: Callable[[int], str | None] = lambda look: f"vllm:generation_tokens_total {look}\n"

    def answer(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/health":
            self.looks += 1
            if self.looks == MANY_LOOKS:
                self.enough.set()
            if not self.health(self.looks):
                raise httpx.ReadTimeout("silence", request=request)
            return httpx.Response(200)
        page = self.page(self.looks)
        return httpx.Response(404) if page is None else httpx.Response(200, text=page)

    async def verdict(self) -> str | None:
        """What the watch finds; None when it finds nothing in many looks."""
        async with httpx.AsyncClient(
            base_url="http://engine", transport=httpx.MockTransport(self.answer)
        ) as client:
            watching = asyncio.create_task(HealthWatch(client, LIMITS, lambda: self.busy).until_hung())
            enough = asyncio.create_task(self.enough.wait())
            async with asyncio.timeout(30):
                await asyncio.wait({watching, enough}, return_when=asyncio.FIRST_COMPLETED)
            verdict = watching.result() if watching.done() else None
            for task in (watching, enough):
                task.cancel()
            await asyncio.gather(watching, enough, return_exceptions=True)
            return verdict


async def test_an_engine_that_stays_silent_is_hung() -> None:
    engine = Engine()
    engine.health = lambda look: look < 3
    verdict = await engine.verdict()
    assert verdict is not None
    assert "not answered GET /health" in verdict
    assert engine.looks > 4  # one missed look is not enough


async def test_an_engine_with_requests_whose_counters_stand_still_is_hung() -> None:
    engine = Engine()
    engine.page = lambda _: "python_gc_total 1\nvllm:num_requests_running 3\nvllm:generation_tokens_total 7\n"
    verdict = await engine.verdict()
    assert verdict is not None
    assert "counters have stood still" in verdict


@pytest.mark.parametrize(
    ("busy", "page"),
    [
        (False, lambda _: "vllm:generation_tokens_total 7\n"),
        (True, lambda look: f"vllm:generation_tokens_total {look}\n"),
        (True, lambda look: f"vllm:generation_tokens_total {look // 2}\n"),
        (True, lambda _: None),
        (True, lambda look: f"python_gc_total {look}\n"),
    ],
    ids=["idle", "getting on", "slow", "metrics refused", "metrics switched off"],
)
async def test_an_engine_that_may_well_work_is_left_alone(
    busy: bool, page: Callable[[int], str | None]
) -> None:
    engine = Engine()
    engine.busy, engine.page = busy, page
    assert await engine.verdict() is None


async def test_an_engine_that_misses_a_look_now_and_then_is_left_alone() -> None:
    engine = Engine()
    engine.health = lambda look: look % 2 == 0
    assert await engine.verdict() is None
