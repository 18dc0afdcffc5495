"""The worker as a process, asked over HTTP: what it accepts goes through Pub/Sub, and can be called off and mended."""

import json
from collections.abc import Callable
from typing import Any

from tests.support.engine_server import EngineServer
from tests.support.feedback_stranger import Stranger
from tests.support.feedback_worker import FeedbackWorker
from tests.support.waiting import wait_until

NewWorker = Callable[..., FeedbackWorker]


def a_body(request_id: str) -> dict[str, Any]:
    return {
        "request_id": request_id,
        "conversation_id": "c-1",
        "transcript": [{"role": "user", "content": "What is 2 + 2?"}, {"role": "assistant", "content": "4."}],
    }


def state(worker: FeedbackWorker, request_id: str) -> str:
    return str(worker.client.get(f"/v1/feedback/{request_id}").json().get("state"))


def generations(inference: EngineServer) -> list[str]:
    return [asked.outcome for asked in inference.engine.asked]


def test_bulk_comes_back_as_results_and_the_batch_can_be_followed_to_its_end(
    stranger: Stranger, inference: EngineServer, new_worker: NewWorker
) -> None:
    inference.start()
    worker = new_worker()
    ids = [f"bulk-{number}" for number in range(20)]
    lines = "\n".join(json.dumps(a_body(request_id)) for request_id in ids)
    answer = worker.client.post("/v1/feedback/bulk?batch_id=b-1", content=lines)
    assert [json.loads(line)["status"] for line in answer.text.splitlines()] == [202] * len(ids)
    with worker.client.stream("GET", "/v1/batches/b-1/events", timeout=60) as stream:
        told = [line for line in stream.iter_lines() if line.startswith("data: ")]
    assert json.loads(told[-1].removeprefix("data: "))["states"]["done"] == len(ids)
    stranger.results.wait_for(*ids)
    assert len(stranger.results.look()) == len(ids)
    assert worker.stop() == 0


def test_running_request_is_called_off_and_the_engine_is_free_again(
    stranger: Stranger, inference: EngineServer, new_worker: NewWorker
) -> None:
    inference.start()
    inference.answer_slowly(20)
    worker = new_worker(slots="1")
    request_id, waiting = stranger.ask(), stranger.ask()
    wait_until("the engine generates", lambda: generations(inference) == ["running"], seconds=30)
    running = next(one for one in (request_id, waiting) if state(worker, one) == "running")
    other = waiting if running == request_id else request_id
    stranger.cancel(other)
    worker.client.post(f"/v1/feedback/{running}/cancel")
    inference.answer_slowly(0)
    stranger.results.wait_for(running, other)
    wait_until("the engine is free again", lambda: "disconnected" in generations(inference), seconds=30)
    types = {letter.attributes["ce-type"] for letter in stranger.results.about(running)}
    assert types == {"feedback.cancelled.v1"}
    history = worker.client.get(f"/v1/feedback/{running}").json()["history"]
    assert [change["state"] for change in history] == ["queued", "running", "cancelled"]
    assert worker.stop() == 0


def test_dead_letter_is_found_mended_and_replayed_into_a_result(
    stranger: Stranger, inference: EngineServer, new_worker: NewWorker
) -> None:
    inference.start()
    worker = new_worker()
    stranger.send(b"no json", ce_source="/strangers")

    def letters() -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = worker.client.get("/v1/dead-letters").json()["items"]
        return items

    (letter,) = wait_until("the letter is kept", letters, seconds=30)
    assert (letter["code"], letter["origin"]) == ("unreadable", "/strangers")
    worker.client.post(f"/v1/dead-letters/{letter['id']}/replay")
    (again,) = wait_until(
        "it died again", lambda: [one for one in letters() if one["state"] == "died_again"], seconds=30
    )
    mended = a_body("mended") | {"requested_at": "2026-01-02T12:00:00Z"}
    worker.client.patch(f"/v1/dead-letters/{again['id']}", json={"data": json.dumps(mended)})
    worker.client.post(f"/v1/dead-letters/{again['id']}/replay")
    stranger.results.wait_for("mended")
    assert [one["state"] for one in letters()] == ["replayed"]
    assert worker.stop() == 0


def test_request_that_breaks_the_engine_leaves_its_slot_to_others_and_ends_explained(
    stranger: Stranger, inference: EngineServer, new_worker: NewWorker
) -> None:
    inference.start()
    worker = new_worker(slots="1", max_attempts="2")
    inference.engine.breaks_on = "poison"
    worker.client.post(
        "/v1/feedback",
        json=a_body("broken") | {"transcript": [{"role": "user", "content": "poison"}]},
    )
    wait_until("it was tried", lambda: "rejected" in generations(inference), seconds=30)
    good = stranger.ask()
    stranger.results.wait_for(good, "broken", seconds=40)
    (told,) = stranger.results.about("broken")
    assert (told.json["code"], told.json["attempts"]) == ("too_many_attempts", 2)
    assert worker.stop() == 0


def test_waiting_ends_at_the_deadline_without_an_engine_and_leaves_nothing_dead(
    stranger: Stranger, new_worker: NewWorker
) -> None:
    worker = new_worker(deadline_seconds="1", sweep_every_seconds="0.5")
    request_id = stranger.ask()
    stranger.results.wait_for(request_id)
    (told, *_) = stranger.results.about(request_id)
    assert (told.json["code"], told.json["attempts"]) == ("deadline_exceeded", 0)
    assert stranger.dead.look() == []
    assert worker.stop() == 0
