"""Asking over HTTP: one request or thousands of lines, each stored once with its event, and found again in every way."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from tandem_contracts import topics
from tandem_feedback.application import read_jobs
from tandem_feedback.entrypoints.http.app import create_app
from tandem_feedback.settings import FeedbackSettings
from tests.support.eventually import eventually
from tests.support.fake_engine import FakeEngine
from tests.support.feedback_bench import FeedbackBench, open_bench
from tests.support.feedback_builders import a_completion, a_request
from tests.support.feedback_face import a_worker

TOKEN = "a-token-of-the-tests"


class Face:
    def __init__(self, bench: FeedbackBench, **settings: Any) -> None:
        self.bench = bench
        app = create_app(FeedbackSettings(_env_file=None, **settings))
        app.state.worker = a_worker(bench.database, FakeEngine())
        self.transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        self.client = httpx.AsyncClient(transport=self.transport, base_url="http://feedback")

    async def ask(self, body: dict[str, Any]) -> httpx.Response:
        return await self.client.post("/v1/feedback", json=body)

    async def ask_many(self, *lines: Any, batch_id: str = "b-1") -> list[dict[str, Any]]:
        body = b"\n".join(line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines)
        answer = await self.client.post("/v1/feedback/bulk", params={"batch_id": batch_id}, content=body)
        assert (answer.status_code, answer.headers["location"]) == (200, f"/v1/batches/{batch_id}")
        return [json.loads(line) for line in answer.text.splitlines()]

    async def get(self, path: str, **params: Any) -> Any:
        answer = await self.client.get(path, params=params)
        assert answer.status_code == 200, answer.text
        return answer.json()


@pytest.fixture
async def face(tmp_path: Path) -> AsyncIterator[Face]:
    async with open_bench(f"sqlite+aiosqlite:///{tmp_path}/feedback.db") as bench:
        face = Face(bench)
        async with face.client:
            yield face


def a_body(request_id: str | None = None, **changes: Any) -> dict[str, Any]:
    body = {"conversation_id": "c-1", "transcript": [{"role": "user", "content": "안녕, 2 + 2?"}], **changes}
    return body | ({"request_id": request_id} if request_id else {})


async def test_accepted_request_is_stored_and_on_its_way_to_a_worker(face: Face) -> None:
    answer = await face.ask(a_body("r-1", batch_id="b-1"))
    assert (answer.status_code, answer.headers["location"]) == (202, "/v1/feedback/r-1")
    assert (answer.json()["state"], answer.json()["batch_id"]) == ("queued", "b-1")
    (sent,) = await face.bench.announced(topics.FEEDBACK_REQUESTS)
    assert sent.event.request_id == "r-1"
    found = await face.get("/v1/feedback/r-1")
    assert [change["state"] for change in found["history"]] == ["queued"]


async def test_id_is_given_where_the_caller_chose_none(face: Face) -> None:
    first, second = (await face.ask(a_body())).json(), (await face.ask(a_body())).json()
    assert first["request_id"] != second["request_id"]


async def test_same_request_again_gets_the_same_answer_and_is_sent_once(face: Face) -> None:
    answers = await asyncio.gather(*[face.ask(a_body("r-1")) for _ in range(10)])
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.text for answer in answers}) == 1
    assert len(await face.bench.announced(topics.FEEDBACK_REQUESTS)) == 1


async def test_same_id_with_another_body_is_refused_and_explained(face: Face) -> None:
    await face.ask(a_body("r-1"))
    answer = await face.ask(a_body("r-1", conversation_id="c-2"))
    assert (answer.status_code, answer.json()["code"]) == (409, "request_mismatch")
    assert "new request_id" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("body", "status", "told"),
    [
        (b"", 422, "JSON"),
        (b"[]", 422, "body"),
        (b"\xff\xfe", 422, "body"),
        (b'{"a": ' * 10_000, 422, "body"),
        (json.dumps(a_body("a b")).encode(), 422, "request_id"),
        (json.dumps(a_body(transcript=[])).encode(), 422, "transcript"),
        (json.dumps(a_body(surprise=1)).encode(), 422, "surprise"),
        (json.dumps(a_body(transcript=[{"role": "user", "content": "a\x00b"}])).encode(), 422, "transcript"),
        (json.dumps(a_body(transcript=[{"role": "user", "content": "\ud800"}])).encode(), 422, "body"),
        (json.dumps(a_body(webhook_url="http://hooks.example.com/x")).encode(), 422, "webhook_url"),
        (json.dumps(a_body(webhook_url="https://elsewhere.example/x")).encode(), 422, "elsewhere"),
        (json.dumps(a_body(webhook_url="https://[::1")).encode(), 422, "webhook_url"),
        (b'{"x": "' + b"x" * 1_100_000 + b'"}', 413, "at most 1000000 bytes"),
    ],
)
async def test_bad_body_is_a_problem_that_names_what_is_wrong(
    face: Face, body: bytes, status: int, told: str
) -> None:
    answer = await face.client.post("/v1/feedback", content=body)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert told in answer.json()["detail"]
    assert await face.bench.announced() == []


async def test_each_line_of_a_bulk_gets_its_own_answer_and_bad_ones_stop_nobody(face: Face) -> None:
    await face.ask(a_body("known"))
    answers = await face.ask_many(
        a_body("one"),
        b"no json",
        b"",
        a_body("known", conversation_id="c-9"),
        b'{"x": "' + b"x" * 1_100_000 + b'"}',
        a_body("one"),
        a_body("two", batch_id="another"),
    )
    assert [(one["line"], one["status"], one.get("code")) for one in answers] == [
        (1, 202, None),
        (2, 422, "invalid_request"),
        (4, 409, "request_mismatch"),
        (5, 413, "request_too_large"),
        (6, 202, None),
        (7, 202, None),
    ]
    assert (await face.get("/v1/batches/b-1"))["states"]["queued"] == 1
    assert (await face.get("/v1/batches/another"))["total"] == 1
    assert len(await face.bench.announced(topics.FEEDBACK_REQUESTS)) == 3


async def test_thousands_of_lines_are_accepted_at_once(face: Face) -> None:
    answers = await face.ask_many(*[a_body(f"r-{n}") for n in range(2000)])
    assert [one["status"] for one in answers] == [202] * 2000
    assert (await face.get("/v1/batches/b-1"))["total"] == 2000


async def test_bulk_is_answered_while_it_is_still_being_sent(face: Face) -> None:
    received: list[dict[str, Any]] = []
    body: asyncio.Queue[bytes] = asyncio.Queue()

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": (data := await body.get()), "more_body": bool(data)}

    async def send(message: Any) -> None:
        received.append(message)

    path = "/v1/feedback/bulk"
    scope = {"type": "http", "method": "POST", "path": path, "raw_path": path.encode(), "headers": []}
    scope |= {"query_string": b"", "http_version": "1.1", "scheme": "http", "root_path": ""}
    app: Any = face.transport.app
    serving = asyncio.create_task(app(scope, receive, send))
    for request_id in ("r-1", "r-2"):
        line = json.dumps(a_body(request_id)).encode()
        body.put_nowait(line[:20])
        body.put_nowait(line[20:] + b"\n")

        def is_answered(request_id: str = request_id) -> bool:
            return request_id.encode() in b"".join(_bodies(received))

        await eventually("its answer", is_answered, seconds=20)
    body.put_nowait(b"")
    await asyncio.wait_for(serving, timeout=20)
    assert received[-1].get("more_body", False) is False


def _bodies(messages: list[dict[str, Any]]) -> list[bytes]:
    return [message.get("body", b"") for message in messages]


async def test_pages_show_every_request_once_and_newest_first(face: Face) -> None:
    await face.ask_many(*[a_body(f"r-{n}", conversation_id=f"c-{n % 2}") for n in range(25)])
    seen, cursor = [], None
    while True:
        params = {"conversation_id": "c-0", "limit": 4} | ({"cursor": cursor} if cursor else {})
        page = await face.get("/v1/feedback", **params)
        seen += [item["request_id"] for item in page["items"]]
        if not (cursor := page["next_cursor"]):
            break
    assert sorted(seen) == sorted(f"r-{n}" for n in range(0, 25, 2))
    assert len(seen) == 13
    assert (await face.get("/v1/feedback", state="done"))["items"] == []


@pytest.mark.parametrize("cursor", ["x", "MjAyNnxh", "w6TDpA==", "YXxi"])
async def test_cursor_that_was_never_given_out_is_refused(face: Face, cursor: str) -> None:
    answer = await face.client.get("/v1/feedback", params={"cursor": cursor})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "query.cursor")


async def test_request_can_be_called_off_before_during_and_not_after(face: Face) -> None:
    early = await face.client.post("/v1/feedback/r-0/cancel")
    assert (early.status_code, early.json()["state"]) == (202, None)
    assert (await face.ask(a_body("r-0"))).json()["state"] == "cancelled"
    assert await face.bench.announced(topics.FEEDBACK_REQUESTS) == []

    await face.ask(a_body("r-1"))
    for _ in range(2):
        answer = await face.client.post("/v1/feedback/r-1/cancel")
        assert (answer.status_code, answer.json()["state"]) == (202, "cancelled")

    done = await _done(face)
    late = await face.client.post(f"/v1/feedback/{done}/cancel")
    assert (late.status_code, late.json()["code"]) == (409, "already_finished")


async def _done(face: Face) -> str:
    request = a_request(batch_id="b-done")
    await face.bench.accept(request)
    claim = await face.bench.claim(request)
    async with face.bench.store.write() as transaction:
        await transaction.finish(claim, a_completion(request))
    return request.request_id


def _events(text: str) -> list[tuple[str, str, Any]]:
    found = []
    for block in text.strip().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line and line[0] != ":")
        if "event" in fields:
            found.append((fields["event"], fields.get("id", ""), json.loads(fields["data"])))
    return found


async def test_stream_of_a_request_tells_its_changes_and_ends_with_the_outcome(face: Face) -> None:
    request_id = await _done(face)
    events = _events((await face.client.get(f"/v1/feedback/{request_id}/events")).text)
    assert [(name, number) for name, number, _ in events] == [
        ("change", "1"),
        ("change", "2"),
        ("change", "3"),
        ("outcome", ""),
    ]
    assert events[-1][2]["outcome"]["result"]["score"] == 4
    resumed = await face.client.get(f"/v1/feedback/{request_id}/events", headers={"Last-Event-ID": "2"})
    assert [number for _, number, _ in _events(resumed.text)] == ["3", ""]


async def test_stream_of_a_batch_ends_when_every_request_has_its_outcome(
    face: Face, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(read_jobs, "_POLL_SECONDS", 0.02)
    await _done(face)
    await face.ask(a_body("r-1", batch_id="b-done"))
    following = asyncio.create_task(face.client.get("/v1/batches/b-done/events"))
    await asyncio.sleep(0)
    await face.client.post("/v1/feedback/r-1/cancel")
    events = _events((await asyncio.wait_for(following, timeout=20)).text)
    assert events[-1][2]["finished"] is True
    assert events[-1][2]["states"] == {"queued": 0, "running": 0, "done": 1, "failed": 0, "cancelled": 1}


@pytest.mark.parametrize(
    "path", ["/v1/feedback/none", "/v1/feedback/none/events", "/v1/batches/none", "/v1/batches/none/events"]
)
async def test_what_does_not_exist_is_not_found_before_any_stream_begins(face: Face, path: str) -> None:
    answer = await face.client.get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")


async def test_every_route_but_the_operators_asks_for_the_token_where_one_is_set(face: Face) -> None:
    guarded = Face(face.bench, service_token=SecretStr(TOKEN))
    async with guarded.client as client:
        document = (await client.get("/openapi.json")).json()
        for path, methods in document["paths"].items():
            for method in methods:
                answer = await client.request(method, path.replace("{", "").replace("}", ""), content=b"{}")
                assert (answer.status_code == 401) == path.startswith("/v1/"), (method, path)
        told = await client.get("/v1/feedback", headers={"Authorization": f"Bearer {TOKEN}"})
        assert told.status_code == 200
        for wrong in ("Bearer wrong", TOKEN, "Bearer ", "Basic x"):
            refused = await client.get("/v1/feedback", headers={"Authorization": wrong})
            assert (refused.status_code, refused.json()["code"]) == (401, "unauthorized")
