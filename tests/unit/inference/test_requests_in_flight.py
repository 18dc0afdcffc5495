"""What an engine knows of its requests: whether it is idle, and whether an adapter may be taken away."""

import asyncio

from tandem_inference.engines.requests_in_flight import RequestsInFlight


async def test_an_engine_is_idle_only_while_nothing_uses_it() -> None:
    requests = RequestsInFlight()
    with requests.use("tiny"):
        idle = asyncio.create_task(requests.until_idle(0.01))
        await asyncio.sleep(0.05)
        assert not idle.done()
        assert requests.idle_seconds == 0
    async with asyncio.timeout(20):
        await idle
    assert requests.count() == 0


async def test_a_request_that_waits_for_an_adapter_does_not_hold_its_draining_up() -> None:
    requests = RequestsInFlight()
    with requests.use("formal"), requests.waiting("formal"):
        assert await requests.until_drained("formal", 20)
        assert not requests.is_at_engine()


async def test_draining_is_over_when_the_last_answer_is_or_the_time_is_up() -> None:
    requests = RequestsInFlight()
    with requests.use("formal"):
        assert not await requests.until_drained("formal", 0.01)
        assert await requests.until_drained("brief", 0.01)
        draining = asyncio.create_task(requests.until_drained("formal", 20))
        await asyncio.sleep(0)
    assert await draining
