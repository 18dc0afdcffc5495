"""Requests made up from feedback's own OpenAPI document, and bodies and messages that keep to nothing, break nothing.

The same few hundred each time, so that a failure can be repeated. The worker is a process with its own database.
"""

import asyncio
import json
import random
from collections.abc import Iterator
from pathlib import Path
from shutil import copyfile
from typing import Any

import httpx
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import not_a_server_error
from schemathesis.config import (
    CoveragePhaseConfig,
    GenerationConfig,
    PhasesConfig,
    ProjectConfig,
    ProjectsConfig,
    SchemathesisConfig,
)
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tandem_contracts.envelope import UnreadableEventError, decode
from tandem_feedback.entrypoints.http.app import create_app
from tandem_feedback.settings import FeedbackSettings
from tests.support.emulator import Emulator
from tests.support.engine_server import EngineServer
from tests.support.feedback_stranger import Stranger, make_topics
from tests.support.feedback_worker import FeedbackWorker
from tests.support.pubsub_rest import PubSubOverRest
from tests.support.waiting import wait_until

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
EXAMPLES = settings(
    max_examples=12,
    derandomize=True,
    deadline=None,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
CONFIG = SchemathesisConfig(
    seed=20,
    projects=ProjectsConfig(
        default=ProjectConfig(
            generation=GenerationConfig(deterministic=True),
            phases=PhasesConfig(coverage=CoveragePhaseConfig(enabled=False)),
        )
    ),
)
# Lines have no schema to make them up from, and a test of their own here.
SCHEMA = schemathesis.openapi.from_dict(
    create_app(FeedbackSettings(_env_file=None)).openapi(), config=CONFIG
).exclude(path="/v1/feedback/bulk")
ABOUT_SOMETHING = SCHEMA.include(path_regex="request_id|letter_id|batch_id")


@pytest.fixture(scope="module")
def worker(
    emulator: Emulator, migrated_database: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[FeedbackWorker]:
    folder = tmp_path_factory.mktemp("fuzzed")
    copyfile(migrated_database, folder / migrated_database.name)
    with pytest.MonkeyPatch.context() as patch:
        project = make_topics(emulator.host, patch)
    inference = EngineServer()
    inference.start()
    worker = FeedbackWorker(folder, emulator_host=emulator.host, project=project, inference_url=inference.url)
    worker.start()
    yield worker
    worker.kill()
    worker.client.close()
    inference.stop()


@pytest.fixture(scope="module")
def stranger(emulator: Emulator, worker: FeedbackWorker) -> Stranger:
    return Stranger(PubSubOverRest(emulator.host, worker.project))


@pytest.fixture(scope="module")
def known_ids(worker: FeedbackWorker, stranger: Stranger) -> dict[str, str]:
    """Ids of things that exist."""
    body = {"conversation_id": "c-1", "transcript": [{"role": "user", "content": "hello"}], "batch_id": "b-1"}
    request_id = worker.client.post("/v1/feedback", json=body).json()["request_id"]
    stranger.send(b"no json")
    letters = wait_until(
        "a dead letter", lambda: worker.client.get("/v1/dead-letters").json()["items"], seconds=30
    )
    return {"request_id": request_id, "batch_id": "b-1", "letter_id": letters[0]["id"]}


@SCHEMA.parametrize()
@EXAMPLES
def test_made_up_requests_get_declared_answers(case: Any, worker: FeedbackWorker) -> None:
    _call(case, worker)


@ABOUT_SOMETHING.parametrize()
@EXAMPLES
def test_made_up_requests_about_existing_things_get_declared_answers(
    case: Any, worker: FeedbackWorker, known_ids: dict[str, str]
) -> None:
    for name in case.path_parameters or {}:
        case.path_parameters[name] = known_ids.get(name, "none")
    _call(case, worker)


def _call(case: Any, worker: FeedbackWorker) -> None:
    with requests.Session() as session:
        session.trust_env = False
        base_url = str(worker.client.base_url).rstrip("/")
        case.call_and_validate(base_url=base_url, session=session, checks=CHECKS, timeout=30)


def corpus(number: int) -> Iterator[bytes]:
    """Yield inputs that were good once: cut, turned, repeated, nested and mixed with what breaks parsers."""
    chance = random.Random(20)
    request = {
        "request_id": "r",
        "conversation_id": "c",
        "transcript": [{"role": "user", "content": "hello"}],
        "requested_at": "2026-01-02T12:00:00Z",
    }
    odd: list[Any] = [
        None, True, -1, 10**30, 1e308, "", "\x00", "\ud800", "🙂" * 999, [], {}, [[]], "x" * 70_000, "9" * 5000,
        "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "https://[::1", {"id": "x", "version": 2**70},
    ]  # fmt: skip
    raw = [
        b"",
        b"\xff\xfe\x00",
        b"[" * 20_000,
        b'{"a":' * 20_000,
        b"NaN",
        b"\n\n\r",
        b"9" * 6000,
        b'"\\ud800"',
    ]
    for position in range(number):
        if position % 5 == 0:
            yield raw[(position // 5) % len(raw)]
            continue
        broken: dict[str, Any] = dict(request)
        for _ in range(chance.randint(1, 3)):
            name = chance.choice(
                [*broken, "deadline_at", "batch_id", "webhook_url", "seed", "rubric", "model", "\x00"]
            )
            broken[name] = chance.choice(odd)
        data = json.dumps(broken).encode()
        yield data[: chance.randint(0, len(data))] if position % 3 == 0 else data


def test_bodies_that_keep_to_nothing_are_refused_and_never_a_defect(worker: FeedbackWorker) -> None:
    async def throw() -> set[int]:
        async with httpx.AsyncClient(base_url=worker.client.base_url, timeout=60, trust_env=False) as http:
            answers = [(await http.post("/v1/feedback", content=data)).status_code for data in corpus(300)]
            bulk = await http.post("/v1/feedback/bulk", content=b"\n".join(corpus(300)))
        lines = [json.loads(line)["status"] for line in bulk.text.splitlines()]
        assert bulk.status_code == 200
        assert len(lines) > 200
        return {*answers, *lines}

    assert asyncio.run(throw()) <= {202, 409, 413, 422}
    assert "Traceback" not in worker.log.read_text()


def test_messages_that_keep_to_nothing_are_buried_and_the_next_one_is_accepted(
    worker: FeedbackWorker, stranger: Stranger
) -> None:
    before = len(stranger.dead.look())
    poison = [data for data in corpus(80) if not _is_readable(data)]
    for data in poison:
        stranger.send(data, ce_time="never", ce_subject="\U0001f642" * 20, tandem_replay_of="\x01")
    wait_until("all are buried", lambda: len(stranger.dead.look()) >= before + len(poison), seconds=60)
    good = stranger.ask()
    wait_until(
        "it is accepted", lambda: worker.client.get(f"/v1/feedback/{good}").status_code == 200, seconds=60
    )
    assert "Traceback" not in worker.log.read_text()


def _is_readable(data: bytes) -> bool:
    try:
        decode(data, {"ce-type": "feedback.requested.v1"})
    except UnreadableEventError:
        return False
    return True
