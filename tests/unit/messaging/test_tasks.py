"""Background loops: one that dies is reported and started again, and closing ends them all."""

import asyncio

import pytest

from tandem_messaging import tasks
from tandem_messaging.tasks import BackgroundLoops
from tests.support.eventually import eventually


@pytest.fixture(autouse=True)
def _restart_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "_RESTART_AFTER_SECONDS", 0.001)


async def test_loop_is_started_again_and_reported_when_it_dies(caplog: pytest.LogCaptureFixture) -> None:
    starts = 0

    async def fragile() -> None:
        nonlocal starts
        starts += 1
        if starts == 1:
            raise RuntimeError("a defect")
        if starts == 3:
            await asyncio.Event().wait()

    loops = BackgroundLoops()
    loops.start("fragile", fragile)
    await eventually("the third start", lambda: starts == 3)
    await loops.close()
    assert [record.message for record in caplog.records] == ["loop.died", "loop.ended"]
    assert {vars(record)["loop"] for record in caplog.records} == {"fragile"}


async def test_newest_loop_ends_first_when_closed() -> None:
    ended = []

    async def run(name: str) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(name)

    loops = BackgroundLoops()
    loops.start("older", lambda: run("older"))
    loops.start("newer", lambda: run("newer"))
    await asyncio.sleep(0)
    await loops.close()
    assert ended == ["newer", "older"]


async def test_loop_is_started_again_when_something_inside_it_was_cancelled() -> None:
    starts = 0

    async def fragile() -> None:
        nonlocal starts
        starts += 1
        if starts == 1:
            inner = asyncio.create_task(asyncio.Event().wait())
            inner.cancel()
            await inner
        await asyncio.Event().wait()

    loops = BackgroundLoops()
    loops.start("fragile", fragile)
    await eventually("the second start", lambda: starts == 2)
    await loops.close()


async def test_dead_loop_is_named_until_it_runs_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "_RESTART_AFTER_SECONDS", 0.2)
    starts = 0

    async def fragile() -> None:
        nonlocal starts
        starts += 1
        if starts == 1:
            raise RuntimeError("a defect")
        await asyncio.Event().wait()

    loops = BackgroundLoops()
    loops.start("fragile", fragile)
    await eventually("it is named", lambda: loops.down == {"fragile": "RuntimeError"})
    await eventually("it runs again", lambda: starts == 2 and loops.down == {})
    await loops.close()
