"""The order in which engines start and stop, and starts that fail in ways that are known."""

import asyncio
from pathlib import Path

import httpx
import pytest

from tandem_inference.engines.supervised_engine import EngineState
from tests.support.engine_fleet import running, stub_engines
from tests.support.eventually import eventually
from tests.support.inference_service import declared_engine

NO_CACHE = "(EngineCore pid=5) ERROR 09-10 12:00:41 [core.py:1] ValueError: No available memory for the cache blocks.\n"
FREE = (
    "ValueError: Free memory on device cuda:0 (17.1/22.05 GiB) on startup is less than desired GPU memory utilization "
    "(0.92, 20.29 GiB). Decrease GPU memory utilization\n"
)


async def test_engines_start_in_their_order_and_stop_in_reverse(tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    declared = [declared_engine(name=name, model=name) for name in ("large", "small", "middle")]
    engines = stub_engines(declared, "--note-starts", str(notes))
    async with running(engines, ["small", "middle", "large"]):
        assert [engine.state for engine in engines] == [EngineState.READY] * 3
        assert notes.read_text().splitlines() == ["start small", "start middle", "start large"]
    assert notes.read_text().splitlines()[3:] == ["end large", "end middle", "end small"]


async def test_a_failure_that_would_come_again_is_not_repeated_and_the_next_engine_starts(
    tmp_path: Path,
) -> None:
    log = tmp_path / "failure.log"
    log.write_text(NO_CACHE)
    (failing,) = stub_engines([declared_engine(name="large")], "--failing-start-log", str(log))
    (working,) = stub_engines([declared_engine(name="small")])
    async with running([failing, working]) as fleet:
        assert (failing.state, failing.restarts) == (EngineState.FAILED, 0)
        assert failing.last_error is not None
        assert "nothing is left for the KV cache" in failing.last_error
        assert failing.proposal is not None
        assert "gpu_memory_utilization" in failing.proposal
        assert working.state is EngineState.READY
        refusal = str(fleet.first_not_ready())
        assert failing.last_error.removesuffix(".") in refusal
        assert failing.proposal in refusal


async def test_a_failure_that_may_pass_is_tried_again_until_it_has(tmp_path: Path) -> None:
    log = tmp_path / "failure.log"
    log.write_text(FREE)
    (engine,) = stub_engines([declared_engine(gpu_memory_utilization=0.92)], "--failing-start-log", str(log))
    async with asyncio.timeout(60):
        supervising = asyncio.create_task(engine.run())
        try:
            await eventually("a restart", lambda: engine.restarts, seconds=30)
            assert engine.proposal is not None
            assert engine.proposal.startswith("gpu_memory_utilization: 0.77")
            log.unlink()
            await eventually("a start that works", lambda: engine.state is EngineState.READY, seconds=30)
            assert not engine.last_error
            assert not engine.proposal
        finally:
            supervising.cancel()
            await asyncio.gather(supervising, return_exceptions=True)


@pytest.mark.parametrize("sleep_mode", [True, False])
async def test_an_engine_on_demand_sleeps_after_its_first_start_and_is_woken_by_a_request(
    tmp_path: Path, sleep_mode: bool
) -> None:
    declared = declared_engine(on_demand={"idle_seconds": 0.3})
    (engine,) = stub_engines([declared], sleep_mode=sleep_mode)
    async with running([engine]) as fleet, httpx.AsyncClient(base_url=engine.base_url) as client:
        assert engine.state is EngineState.ASLEEP
        assert fleet.first_not_ready() is None
        assert (engine.start is not None) is sleep_mode  # without sleep mode the process is gone
        for _ in range(2):
            with engine.use("smollm2-135m-instruct"):
                await engine.wait_until_ready(30)
                body = {"model": "smollm2-135m-instruct", "prompt": "hi"}
                assert (await client.post("/v1/completions", json=body)).status_code == 200
            await eventually("sleep", lambda: engine.state is EngineState.ASLEEP, seconds=30)
        assert engine.restarts == 0
        if sleep_mode:
            await eventually("a sleeping process", lambda: engine.start is not None, seconds=30)
            assert (await client.get("/is_sleeping")).json() == {"is_sleeping": True}


async def test_no_process_is_left_when_the_engine_was_just_being_put_to_sleep(tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    declared = declared_engine(on_demand={"idle_seconds": 60})
    (engine,) = stub_engines([declared], "--note-starts", str(notes))
    supervising = asyncio.create_task(engine.run())
    await eventually("falling asleep", lambda: engine.state is EngineState.ASLEEP, seconds=30)
    supervising.cancel()
    await asyncio.gather(supervising, return_exceptions=True)
    assert notes.read_text().splitlines() == [f"{word} smollm2-135m-instruct" for word in ("start", "end")]


async def test_a_request_is_told_how_long_waking_takes_when_it_cannot_wait_so_long(tmp_path: Path) -> None:
    declared = declared_engine(on_demand={"idle_seconds": 60})
    (engine,) = stub_engines([declared], "--start-delay-seconds", "3")
    async with running([engine]):
        assert engine.state is EngineState.ASLEEP
        with pytest.raises(Exception, match="is asleep") as told:
            await engine.wait_until_ready(0.5)
        assert told.value.retry_after_seconds >= 3  # type: ignore[attr-defined]
        await eventually("the wake that it began", lambda: engine.state is EngineState.READY, seconds=30)


@pytest.mark.parametrize("sleep_mode", [True, False])
async def test_an_engine_that_dies_after_a_wake_is_restarted(tmp_path: Path, sleep_mode: bool) -> None:
    declared = declared_engine(on_demand={"idle_seconds": 60})
    (engine,) = stub_engines([declared], sleep_mode=sleep_mode)
    async with running([engine]), httpx.AsyncClient(base_url=engine.base_url) as client:
        await engine.wait_until_ready(30)
        with pytest.raises(httpx.TransportError):
            await client.post("/stub/exit")
        await eventually("a restart", lambda: engine.restarts == 1, seconds=30)
        await eventually("being back", lambda: engine.state is EngineState.READY, seconds=30)


async def test_a_request_during_the_first_start_keeps_the_engine_awake_and_the_next_one_starts(
    tmp_path: Path,
) -> None:
    first, second = (
        declared_engine(name=name, on_demand={"idle_seconds": 60}) for name in ("first", "second")
    )
    engines = stub_engines([first, second])
    with engines[0].use("smollm2-135m-instruct"):
        async with running(engines):
            assert [engine.state for engine in engines] == [EngineState.READY, EngineState.ASLEEP]
