"""Batches, comparisons, human scores, agreement and rubrics as a caller of the HTTP face meets them."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tandem_contracts.feedback import FeedbackRequestedV1
from tandem_contracts.problem import Problem
from tandem_feedback.entrypoints.http.app import create_app
from tandem_feedback.settings import FeedbackSettings
from tests.support.fake_engine import FakeEngine
from tests.support.feedback_bench import FeedbackBench, open_bench
from tests.support.feedback_builders import a_completion, a_request
from tests.support.feedback_face import a_worker

ONE_VARIANT = {"variants": [{"rubric": {"id": "general", "version": 1}}]}


class Face:
    def __init__(self, bench: FeedbackBench) -> None:
        self.bench = bench
        app = create_app(FeedbackSettings(_env_file=None))
        app.state.worker = a_worker(bench.database, FakeEngine())
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        self.client = httpx.AsyncClient(transport=transport, base_url="http://feedback")

    async def get(self, path: str, **query: Any) -> Any:
        answer = await self.client.get(path, params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def store_result(self, conversation_id: str, score: int, **changes: Any) -> FeedbackRequestedV1:
        request = a_request(conversation_id=conversation_id, **changes)
        await self.bench.accept(request)
        claim = await self.bench.claim(request)
        async with self.bench.store.write() as transaction:
            await transaction.finish(claim, a_completion(request, score=score))
        return request


@pytest.fixture
async def face(tmp_path: Path) -> AsyncIterator[Face]:
    async with open_bench(f"sqlite+aiosqlite:///{tmp_path}/feedback.db") as bench:
        face = Face(bench)
        async with face.client:
            yield face


async def test_batch_is_accepted_with_the_address_that_tells_how_far_it_is(face: Face) -> None:
    await face.store_result("c-1", 4)
    answer = await face.client.post("/v1/batches", json={**ONE_VARIANT, "id": "monday"})
    assert answer.status_code == 202
    assert answer.headers["Location"] == "/v1/batches/monday"
    assert answer.json()["progress"]["total"] == 1
    progress = await face.get("/v1/batches/monday")
    assert (progress["waiting"], progress["total"], progress["finished"]) == (1, 1, False)
    assert [batch["id"] for batch in (await face.get("/v1/batches"))["items"]] == ["monday"]
    cancelled = (await face.client.post("/v1/batches/monday/cancel")).json()
    assert (cancelled["state"], cancelled["progress"]["finished"]) == ("cancelled", True)


async def test_comparison_comes_in_pages(face: Face) -> None:
    for number in range(3):
        await face.store_result(f"c-{number}", 2 + number)
    await face.client.post("/v1/batches", json={**ONE_VARIANT, "id": "monday"})
    first = await face.get("/v1/batches/monday/comparison", limit=2)
    assert [one["first"]["score"] for one in first["conversations"]] == [2, 3]
    second = await face.get("/v1/batches/monday/comparison", limit=2, after=first["next_after"])
    assert [one["conversation_id"] for one in second["conversations"]] == ["c-2"]
    assert second["next_after"] is None
    assert (second["second"], second["overall"]) == ("general v1", None)


async def test_agreement_follows_from_posted_scores(face: Face) -> None:
    for name, model, human in (("c-1", 4, 5), ("c-2", 2, 2), ("c-3", 3, 2)):
        await face.store_result(name, model)
        posted = {"conversation_id": name, "rater": "kim@example.com", "score": human}
        assert (await face.client.post("/v1/human-scores", json=posted)).json()["score"] == human
    (found,) = (await face.get("/v1/agreement", rubric_id="general"))["items"]
    assert (found["rubric"], found["conversations"]) == ({"id": "general", "version": 1}, 3)
    assert found["figures"]["mean_first"] == found["figures"]["mean_second"] == 3
    # Two of three pairs differ, by 1; over the nine pairings by chance the squares sum to 24: 1 - (2/3) / (24/9).
    assert found["figures"]["kappa"] == pytest.approx(0.75)
    scores = await face.get("/v1/human-scores", conversation_id="c-1")
    assert [(one["rater"], one["score"]) for one in scores["items"]] == [("kim@example.com", 5)]


async def test_rubrics_are_listed_with_their_criteria(face: Face) -> None:
    found = {(one["id"], one["version"]): one for one in (await face.get("/v1/rubrics"))["items"]}
    assert found["language-tutor-ko", 1]["language"] == "ko"
    assert found["general", 2]["criteria"][0]["scale"] == {
        "1": "mostly wrong",
        "3": "right with mistakes",
        "5": "all right",
    }
    assert found["general", 1]["criteria"][0]["id"] is None


@pytest.mark.parametrize(
    ("path", "body", "status", "told"),
    [
        ("/v1/batches", {"variants": []}, 422, "variants"),
        ("/v1/batches", {"variants": [{}] * 3}, 422, "variants"),
        ("/v1/batches", {**ONE_VARIANT, "id": "a.b"}, 422, "id"),
        ("/v1/batches", {**ONE_VARIANT, "unknown": 1}, 422, "unknown"),
        ("/v1/batches", {"variants": [{"rubric": {"id": "poetry"}}]}, 422, "expected one of"),
        ("/v1/batches", {"variants": [{"model": "a\x00"}]}, 422, "model"),
        (
            "/v1/batches",
            {**ONE_VARIANT, "selection": {"received_from": "0001-01-01T00:00:00+09:00"}},
            422,
            "received_from",
        ),
        ("/v1/batches/unknown/cancel", {}, 404, "not found"),
        ("/v1/human-scores", {"conversation_id": "c", "rater": "kim", "score": 6}, 422, "score"),
        ("/v1/human-scores", {"conversation_id": "c", "rater": "", "score": 1}, 422, "rater"),
        ("/v1/human-scores", {"conversation_id": "c", "rater": "a\x00", "score": 1}, 422, "rater"),
        ("/v1/human-scores", {"conversation_id": "a b", "rater": "kim", "score": 1}, 422, "conversation_id"),
    ],
)
async def test_bad_input_is_explained(
    face: Face, path: str, body: dict[str, Any], status: int, told: str
) -> None:
    answer = await face.client.post(path, json=body)
    problem = Problem.model_validate_json(answer.content)
    assert (answer.status_code, problem.status) == (status, status)
    assert told in problem.detail


async def test_batch_cannot_take_the_id_of_other_requests(face: Face) -> None:
    await face.store_result("c-1", 4, batch_id="monday")
    answer = await face.client.post("/v1/batches", json={**ONE_VARIANT, "id": "monday"})
    assert (answer.status_code, answer.json()["code"]) == (409, "batch_mismatch")
    assert (await face.get("/v1/batches"))["items"] == []
