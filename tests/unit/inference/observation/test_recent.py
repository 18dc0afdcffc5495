"""However many ask at once, the costly question is asked once; old answers and mistakes are not kept."""

import asyncio

import pytest

from tandem_inference.observation.recent import Recent


class Costly:
    """Counts how often it is asked, and answers when `may_answer` is set."""

    def __init__(self) -> None:
        self.asked = 0
        self.may_answer = asyncio.Event()
        self.mistake: Exception | None = None

    async def ask(self) -> int:
        self.asked += 1
        number = self.asked
        await self.may_answer.wait()
        if self.mistake:
            raise self.mistake
        return number


async def test_callers_at_one_time_share_one_answer() -> None:
    costly = Costly()
    recent = Recent(costly.ask, fresh_seconds=60, patience_seconds=30)
    callers = [asyncio.create_task(recent.get()) for _ in range(20)]
    await asyncio.sleep(0)
    costly.may_answer.set()
    assert await asyncio.gather(*callers) == [1] * 20
    assert await recent.get() == 1


async def test_an_old_answer_is_asked_for_again() -> None:
    costly = Costly()
    costly.may_answer.set()
    recent = Recent(costly.ask, fresh_seconds=0, patience_seconds=30)
    assert [await recent.get(), await recent.get()] == [1, 2]


async def test_a_caller_that_leaves_takes_the_answer_from_nobody() -> None:
    costly = Costly()
    recent = Recent(costly.ask, patience_seconds=30)
    leaving, staying = asyncio.create_task(recent.get()), asyncio.create_task(recent.get())
    await asyncio.sleep(0)
    leaving.cancel()
    costly.may_answer.set()
    assert await staying == 1


async def test_nobody_waits_for_ever_and_a_late_answer_still_comes() -> None:
    costly = Costly()
    recent = Recent(costly.ask, fresh_seconds=60, patience_seconds=0.01)
    for _ in range(3):
        with pytest.raises(TimeoutError):
            await recent.get()
    costly.may_answer.set()
    async with asyncio.timeout(30):
        while True:
            try:
                assert await recent.get() == 1
                break
            except TimeoutError:
                continue
    assert costly.asked == 1


async def test_a_mistake_is_told_and_not_kept() -> None:
    costly = Costly()
    costly.may_answer.set()
    costly.mistake = OSError("gone")
    recent = Recent(costly.ask, fresh_seconds=0, patience_seconds=30)
    with pytest.raises(OSError, match="gone"):
        await recent.get()
    costly.mistake = None
    assert await recent.get() == 2
