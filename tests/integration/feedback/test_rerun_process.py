"""A batch through the whole worker: from the database over Pub/Sub to the engine and back, and compared at the end."""

from collections.abc import Callable

from tests.support.engine_server import EngineServer
from tests.support.feedback_stranger import Stranger
from tests.support.feedback_worker import FeedbackWorker
from tests.support.waiting import wait_until


def test_stored_conversations_are_judged_again_and_compared(
    stranger: Stranger, inference: EngineServer, new_worker: Callable[[], FeedbackWorker]
) -> None:
    inference.start()
    worker = new_worker()
    stranger.results.wait_for(*[stranger.ask() for _ in range(3)])
    known = len(inference.engine.asked)

    versions = [{"rubric": {"id": "general", "version": version}} for version in (1, 2)]
    made = worker.client.post("/v1/batches", json={"id": "monday", "variants": versions})
    assert made.status_code == 202, made.text
    address = made.headers["Location"]
    wait_until("the batch is judged", lambda: worker.client.get(address).json()["finished"], seconds=30)

    conversations = made.json()["progress"]["total"] // 2
    assert worker.client.get(address).json()["states"]["done"] == 2 * conversations
    asked = inference.engine.asked[known:]
    assert len(asked) == 2 * conversations
    assert {one.headers["x-tandem-class"] for one in asked} == {"background"}
    comparison = worker.client.get(f"{address}/comparison").json()
    assert (comparison["first"], comparison["second"]) == ("general v1", "general v2")
    assert comparison["overall"]["count"] == len(comparison["conversations"]) == conversations > 0
    with worker.client.stream("GET", f"{address}/events") as events:
        assert any('"finished":true' in line.replace(" ", "") for line in events.iter_lines())
    assert worker.stop() == 0
