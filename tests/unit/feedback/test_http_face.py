"""The worker's HTTP face: where a request stands, health, readiness, metrics, and a problem document for every error."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tandem_contracts.problem import Problem
from tandem_feedback.adapters.sql.store import SqlStore
from tandem_feedback.domain import errors
from tandem_feedback.entrypoints.http.app import create_app
from tandem_feedback.entrypoints.http.problems import PROBLEMS
from tandem_feedback.settings import FeedbackSettings
from tandem_messaging.errors import DatabaseUnavailableError, TandemError
from tandem_messaging.tasks import BackgroundLoops
from tests.support.fake_engine import FakeEngine
from tests.support.feedback_bench import FeedbackBench, open_bench
from tests.support.feedback_builders import a_completion, a_request
from tests.support.feedback_face import a_worker


class Face:
    def __init__(self, bench: FeedbackBench) -> None:
        self.bench, self.engine = bench, FakeEngine()
        app = create_app(FeedbackSettings(_env_file=None))
        app.state.worker = a_worker(bench.database, self.engine)
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        self.client = httpx.AsyncClient(transport=transport, base_url="http://feedback")

    async def problem(self, path: str, *, method: str = "GET") -> tuple[Problem, httpx.Headers]:
        answer = await self.client.request(method, path)
        assert answer.headers["content-type"] == "application/problem+json"
        problem = Problem.model_validate_json(answer.content)
        assert problem.status == answer.status_code
        return problem, answer.headers


@pytest.fixture
async def face(tmp_path: Path) -> AsyncIterator[Face]:
    async with open_bench(f"sqlite+aiosqlite:///{tmp_path}/feedback.db") as bench:
        face = Face(bench)
        async with face.client:
            yield face


async def test_waiting_request_can_be_looked_up(face: Face) -> None:
    request = a_request()
    await face.bench.accept(request)
    body = (await face.client.get(f"/v1/feedback/{request.request_id}")).json()
    assert (body["state"], body["attempts"], body["outcome"]) == ("queued", 0, None)
    assert body["conversation_id"] == request.conversation_id


async def test_finished_request_shows_its_outcome(face: Face) -> None:
    request = a_request()
    await face.bench.accept(request)
    claim = await face.bench.claim(request)
    async with face.bench.store.write() as transaction:
        await transaction.finish(claim, a_completion(request))
    body = (await face.client.get(f"/v1/feedback/{request.request_id}")).json()
    assert (body["state"], body["outcome"]["result"]["score"]) == ("done", 4)
    assert body["finished_at"]


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/v1/feedback/unknown", 404, "feedback_not_found"),
        ("/v1/feedback/a%00b", 422, "invalid_request"),
        ("/v1/feedback/%F0%9F%92%A5", 422, "invalid_request"),
        (f"/v1/feedback/{'x' * 5000}", 422, "invalid_request"),
        ("/no/such/page", 404, "not_found"),
    ],
)
async def test_bad_address_is_a_problem_document(face: Face, path: str, status: int, code: str) -> None:
    problem, _ = await face.problem(path)
    assert (problem.status, problem.code) == (status, code)
    assert bool(problem.errors) == (code == "invalid_request")


async def test_wrong_method_is_a_problem_document_that_names_the_right_one(face: Face) -> None:
    problem, headers = await face.problem("/v1/feedback/r-1", method="DELETE")
    assert (problem.code, headers["allow"]) == ("method_not_allowed", "GET")


async def test_defect_is_a_problem_document_that_gives_nothing_away(
    face: Face, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: object) -> Any:
        raise RuntimeError("password: hunter2")

    monkeypatch.setattr(SqlStore, "read", fail)
    problem, _ = await face.problem("/v1/feedback/r-1")
    assert problem.code == "internal_error"
    assert "hunter2" not in problem.model_dump_json()


async def test_process_is_healthy_whatever_else_is_away(face: Face) -> None:
    face.engine.ready = False
    assert (await face.client.get("/health")).status_code == 200


async def test_worker_is_ready_when_the_engine_serves(face: Face) -> None:
    assert (await face.client.get("/ready")).json() == {"status": "ready"}


async def test_worker_is_not_ready_and_says_when_to_ask_again_while_the_engine_is_away(face: Face) -> None:
    face.engine.ready = False
    problem, headers = await face.problem("/ready")
    assert (problem.status, problem.code, headers["Retry-After"]) == (503, "engine_not_ready", "4")


async def test_worker_is_not_ready_while_the_database_is_away(
    face: Face, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: object) -> Any:
        raise DatabaseUnavailableError("the database cannot be used now", retry_after=2)

    monkeypatch.setattr(SqlStore, "read", fail)
    problem, headers = await face.problem("/ready")
    assert (problem.status, problem.code, headers["Retry-After"]) == (503, "database_unavailable", "2")


async def test_worker_is_not_ready_while_one_of_its_loops_is_down(
    face: Face, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(BackgroundLoops, "down", property(lambda _: {"relay": "RuntimeError"}))
    problem, _ = await face.problem("/ready")
    assert (problem.status, problem.code) == (503, "worker_down")
    assert "relay (RuntimeError)" in problem.detail


async def test_metrics_can_be_read_by_prometheus(face: Face) -> None:
    answer = await face.client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    assert list(text_string_to_metric_families(answer.text))


def descendants(error: type[TandemError]) -> set[type[TandemError]]:
    return {error}.union(*[descendants(child) for child in error.__subclasses__()])


def test_every_error_of_feedback_has_its_place_in_the_table() -> None:
    own = {error for error in descendants(TandemError) if error.__module__ == errors.__name__}
    assert {error.__name__ for error in own - set(PROBLEMS)} == {"FeedbackFailure"}, (
        "only a root may be missing"
    )
    assert DatabaseUnavailableError in PROBLEMS


def test_codes_tell_errors_apart() -> None:
    codes = [code for _, code in PROBLEMS.values()]
    assert len(codes) == len(set(codes))
    for error, (_, code) in PROBLEMS.items():
        if issubclass(error, errors.FeedbackFailure):
            assert code == error.code
