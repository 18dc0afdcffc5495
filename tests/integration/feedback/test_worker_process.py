"""The worker as it runs in production: a process between Pub/Sub and an engine, either of which may fail, as may it itself."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tandem_contracts.feedback import FeedbackCompletedV1
from tests.support.emulator import Emulator
from tests.support.engine_server import EngineServer
from tests.support.feedback_stranger import Stranger, make_topics
from tests.support.feedback_worker import FeedbackWorker
from tests.support.pubsub_rest import PubSubOverRest
from tests.support.waiting import wait_until


def generations(inference: EngineServer) -> list[str]:
    return [asked.outcome for asked in inference.engine.asked]


def job(worker: FeedbackWorker, request_id: str) -> dict[str, Any]:
    found: dict[str, Any] = worker.client.get(f"/v1/feedback/{request_id}").json()
    return found


def test_strangers_request_published_three_times_is_judged_once_in_the_strangers_trace(
    stranger: Stranger, inference: EngineServer, new_worker: Callable[[], FeedbackWorker]
) -> None:
    inference.start()
    inference.answer_slowly(0.02)
    worker = new_worker()
    trace_id = uuid4().hex
    request_id = stranger.ask(times=3, traceparent=f"00-{trace_id}-00f067aa0ba902b7-01")

    wait_until("every copy is settled", lambda: len(stranger.results.look()) >= 3, seconds=30)
    first, *again = stranger.results.about(request_id)
    assert first.attributes["ce-type"] == "feedback.completed.v1"
    assert FeedbackCompletedV1.model_validate_json(first.data).result.score == 1
    assert {letter.data for letter in again} == {first.data}, "a reader that deduplicates must miss nothing"
    assert generations(inference) == ["completed"]
    assert first.attributes["traceparent"].split("-")[1] == trace_id
    assert inference.engine.asked[0].headers["traceparent"].split("-")[1] == trace_id

    metrics = {family.name for family in text_string_to_metric_families(worker.client.get("/metrics").text)}
    assert {"tandem_feedback_jobs", "tandem_outbox_published", "tandem_consumer_messages"} <= metrics
    assert worker.client.get("/ready").status_code == 200
    assert worker.stop() == 0
    spans = [json.loads(line) for line in worker.spans.read_text().splitlines()]
    joined = {span["name"] for span in spans if span["context"]["trace_id"] == f"0x{trace_id}"}
    assert {"process message", "publish feedback-results"} <= joined


def test_result_arrives_once_when_the_worker_was_killed_while_generating(
    stranger: Stranger, inference: EngineServer, new_worker: Callable[[], FeedbackWorker]
) -> None:
    inference.start()
    inference.answer_slowly(10)
    request_id = stranger.ask()
    first = new_worker()
    wait_until("the engine generates", lambda: generations(inference) == ["running"], seconds=30)
    first.kill()
    inference.answer_slowly(0)
    second = new_worker()
    stranger.results.wait_for(request_id, seconds=40)
    assert generations(inference) == ["disconnected", "completed"]
    assert job(second, request_id)["attempts"] == 2
    assert second.stop() == 0
    assert len(stranger.results.look()) == 1


def test_poison_is_buried_with_its_reason_and_holds_up_nobody(
    stranger: Stranger, inference: EngineServer, new_worker: Callable[[], FeedbackWorker]
) -> None:
    inference.start()
    poison = {
        b'{"request_id": ': ("feedback.requested.v1", "JSON"),
        b'{"some": "thing"}': ("feedback.requested.v99", "feedback.requested.v99"),
        b'{"request_id": "r 1", "conversation_id": "c"}': ("feedback.requested.v1", "request_id"),
        b"\xff\xfe": ("", "ce-type"),
    }
    for data, (event_type, _) in poison.items():
        stranger.send(data, ce_type=event_type, origin="a stranger")
    good = [stranger.ask() for _ in range(3)]
    twin = stranger.ask(good[0])
    stranger.send(
        json.dumps(
            {
                "request_id": twin,
                "conversation_id": "c",
                "transcript": [{"role": "user", "content": "Another body"}],
                "requested_at": "2026-01-02T12:00:00Z",
            }
        ).encode()
    )
    new_worker()
    stranger.results.wait_for(*good)
    wait_until("all poison is buried", lambda: len(stranger.dead.look()) >= len(poison) + 1, seconds=30)

    reasons = {letter.data: letter.attributes["tandem-dead-reason"] for letter in stranger.dead.letters}
    assert {data: told in reasons[data] for data, (_, told) in poison.items()} == dict.fromkeys(poison, True)
    (mismatch,) = [reason for data, reason in reasons.items() if data not in poison]
    assert "another body" in mismatch
    assert all(letter.attributes["tandem-dead-message-id"] for letter in stranger.dead.letters)
    kept = [letter for letter in stranger.dead.letters if letter.data in poison]
    assert {letter.attributes["origin"] for letter in kept} == {"a stranger"}


def test_nothing_is_lost_or_buried_while_the_engine_is_away(
    stranger: Stranger, inference: EngineServer, new_worker: Callable[[], FeedbackWorker]
) -> None:
    worker = new_worker()
    asked = [stranger.ask() for _ in range(6)]
    wait_until("the worker waits", lambda: "consumer.waiting" in worker.log.read_text(), seconds=30)
    away = worker.client.get("/ready")
    assert (away.status_code, away.json()["code"]) == (503, "engine_not_ready")
    assert int(away.headers["Retry-After"]) >= 1

    inference.start()
    stranger.results.wait_for(*asked, seconds=40)
    assert {letter.attributes["ce-type"] for letter in stranger.results.letters} == {"feedback.completed.v1"}
    assert [job(worker, request_id)["attempts"] for request_id in asked] == [1] * len(asked)
    assert stranger.dead.look() == []


def test_stopping_in_the_middle_ends_well_and_leaves_the_work_to_the_next(
    stranger: Stranger, inference: EngineServer, new_worker: Callable[[], FeedbackWorker]
) -> None:
    inference.start()
    inference.answer_slowly(10)
    request_id = stranger.ask()
    first = new_worker()
    wait_until("the engine generates", lambda: generations(inference) == ["running"], seconds=30)
    assert first.stop() == 0
    assert "Traceback" not in first.log.read_text()
    wait_until("the engine is free again", lambda: generations(inference) == ["disconnected"])
    inference.answer_slowly(0)
    second = new_worker()
    stranger.results.wait_for(request_id, seconds=40)
    assert job(second, request_id)["attempts"] == 1, "being stopped is no failed attempt"
    assert len(stranger.results.look()) == 1


def test_accepted_request_is_found_again_when_broker_and_worker_died_together(
    own_emulator: Emulator, inference: EngineServer, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = make_topics(own_emulator.host, monkeypatch)
    stranger = Stranger(PubSubOverRest(own_emulator.host, project))
    worker = FeedbackWorker(
        folder,
        emulator_host=own_emulator.host,
        project=project,
        inference_url=inference.url,
        sweep_every_seconds="0.5",
        requeue_after_seconds="1",
    )
    try:
        worker.start()
        request_id = stranger.ask()
        wait_until("it is accepted", lambda: job(worker, request_id).get("state"), seconds=30)
        worker.kill()
        own_emulator.restart()
        inference.start()
        worker.start()
        wait_until("it is done", lambda: job(worker, request_id)["state"] == "done", seconds=30)
        assert generations(inference) == ["completed"]
        assert worker.stop() == 0
    finally:
        worker.kill()
