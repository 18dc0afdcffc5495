"""Whatever a caller sends wrong is told to them as a problem document with a stable code: never a 5xx, never a traceback."""

import base64
from collections.abc import AsyncIterator

import httpx
import pytest

from tandem_contracts.problem import PROBLEM_MEDIA_TYPE, Problem
from tests.support.chat_process import WebApp

JSON = {"Content-Type": "application/json"}
MAX_BODY_BYTES = 262_144
MAX_MESSAGE_CHARS = 8000


def _problem(response: httpx.Response, status: int, code: str) -> Problem:
    assert response.status_code == status, response.text
    assert response.headers["Content-Type"] == PROBLEM_MEDIA_TYPE
    problem = Problem.model_validate_json(response.content)
    assert (problem.status, problem.code) == (status, code)
    assert problem.instance == response.request.url.path
    return problem


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b'{"content":', id="cut short"),
        pytest.param(b'{"content": "\xff\xfe"}', id="not UTF-8"),
        pytest.param(b"[" * 50_000, id="nested too deep"),
        pytest.param(b'{"content": ' + b"9" * 6000 + b"}", id="endless number"),
        pytest.param(b"", id="empty"),
        pytest.param(b"null", id="null"),
        pytest.param(b'["content"]', id="a list"),
    ],
)
async def test_body_that_is_no_json_object_is_refused(app: WebApp, body: bytes) -> None:
    path = f"/v1/conversations/{await app.new_conversation()}/messages"

    problem = _problem(await app.http.post(path, content=body, headers=JSON), 422, "invalid_request")

    assert [error.field for error in problem.errors] == ["body"]


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", ""])
async def test_body_of_another_type_is_refused(app: WebApp, content_type: str) -> None:
    path = f"/v1/conversations/{await app.new_conversation()}/messages"

    response = await app.http.post(path, content=b'{"content": "hi"}', headers={"Content-Type": content_type})

    assert [error.field for error in _problem(response, 422, "invalid_request").errors] == ["body"]


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b'""', id="empty"),
        pytest.param(b'" \\n\\t\\u3000"', id="white space"),
        pytest.param(b'"' + b"x" * (MAX_MESSAGE_CHARS + 1) + b'"', id="too long"),
        pytest.param(b'"a\\u0000b"', id="NUL"),
        pytest.param(b'"a\\ud800b"', id="lone surrogate"),
        pytest.param(b"17", id="a number"),
        pytest.param(b"null", id="null"),
    ],
)
async def test_unfit_message_is_refused_by_the_name_of_its_field_and_not_stored(
    app_on_both: WebApp, content: bytes
) -> None:
    conversation_id = await app_on_both.new_conversation()

    response = await app_on_both.http.post(
        f"/v1/conversations/{conversation_id}/messages", content=b'{"content": %s}' % content, headers=JSON
    )

    assert [error.field for error in _problem(response, 422, "invalid_request").errors] == ["content"]
    assert (await app_on_both.read(conversation_id))["messages"] == []


async def test_longest_allowed_message_is_taken(app: WebApp) -> None:
    answer = await app.ask(await app.new_conversation(), "🦊" * MAX_MESSAGE_CHARS)

    assert answer.reply["state"] == "completed"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b'{"title": 5}', "title"),
        (b'{"title": "a\\u0000"}', "title"),
        (b'{"title": "\\udfff"}', "title"),
        (b'{"title": "%s"}' % (b"t" * 201), "title"),
        (b'{"owner": "me"}', "owner"),
    ],
)
async def test_unfit_conversation_is_refused(app_on_both: WebApp, body: bytes, field: str) -> None:
    response = await app_on_both.http.post("/v1/conversations", content=body, headers=JSON)

    assert [error.field for error in _problem(response, 422, "invalid_request").errors] == [field]


async def test_unknown_field_that_is_no_text_itself_is_refused(app: WebApp) -> None:
    response = await app.http.post("/v1/conversations", content=b'{"\\ud800": 1}', headers=JSON)

    _problem(response, 422, "invalid_request")


async def _in_chunks(size: int) -> AsyncIterator[bytes]:
    for _ in range(0, size, 10_000):
        yield b"x" * 10_000


@pytest.mark.parametrize("declared", [True, False], ids=["declared", "found out"])
async def test_body_that_is_too_large_is_refused(app: WebApp, declared: bool) -> None:
    size = MAX_BODY_BYTES + 50_000
    body = b"x" * size if declared else _in_chunks(size)

    response = await app.http.post("/v1/conversations", content=body, headers=JSON)

    assert str(MAX_BODY_BYTES) in _problem(response, 413, "body_too_large").detail


async def test_large_body_where_none_is_read_does_no_harm(app: WebApp) -> None:
    reply_id = (await app.ask(await app.new_conversation(), "hello")).reply["id"]

    for path in (f"/v1/replies/{reply_id}", f"/v1/replies/{reply_id}/events"):
        body = _in_chunks(MAX_BODY_BYTES + 50_000)
        response = await app.http.request("GET", path, content=body)
        assert response.status_code in (200, 413)


@pytest.mark.parametrize(
    "inside",
    [
        "no time at all",
        "2026-01-01T00:00:00+00:00",
        "2026-01-01T00:00:00|4b4d1e5e-3c44-4a3e-9c59-2a52a4cf8d41",
        "2026-01-01T00:00:00+00:00|\0",
        "2026-01-01T00:00:00+00:00|17",
        "0001-01-01T00:00:00+23:59|4b4d1e5e-3c44-4a3e-9c59-2a52a4cf8d41",
        "9999-12-31T23:59:59-23:59|4b4d1e5e-3c44-4a3e-9c59-2a52a4cf8d41",
    ],
)
async def test_forged_cursor_is_refused(app_on_both: WebApp, inside: str) -> None:
    cursor = base64.urlsafe_b64encode(inside.encode()).decode()

    response = await app_on_both.http.get("/v1/conversations", params={"cursor": cursor})

    problem = _problem(response, 422, "invalid_request")
    assert [error.field for error in problem.errors] == ["query.cursor"]


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/v1/conversations?cursor=!!!", "query.cursor"),
        ("/v1/conversations?limit=0", "query.limit"),
        ("/v1/conversations?limit=many", "query.limit"),
        ("/v1/replies/{reply}/events?after=-1", "query.after"),
        ("/v1/replies/{reply}/events?after=99999999999999999999", "query.after"),
    ],
)
async def test_wrong_parameter_is_refused_by_name(app: WebApp, path: str, field: str) -> None:
    reply_id = (await app.ask(await app.new_conversation(), "hello")).reply["id"]

    response = await app.http.get(path.format(reply=reply_id))

    assert [error.field for error in _problem(response, 422, "invalid_request").errors] == [field]


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [
        ("GET", "/v1/conversations/{id}", "conversation_not_found"),
        ("DELETE", "/v1/conversations/{id}", "conversation_not_found"),
        ("POST", "/v1/conversations/{id}/messages", "conversation_not_found"),
        ("POST", "/v1/conversations/{id}/feedback", "conversation_not_found"),
        ("GET", "/v1/conversations/{id}/feedback", "conversation_not_found"),
        ("GET", "/v1/replies/{id}", "message_not_found"),
        ("GET", "/v1/replies/{id}/events", "message_not_found"),
        ("POST", "/v1/replies/{id}/stop", "message_not_found"),
        ("POST", "/v1/replies/{id}/retry", "message_not_found"),
        ("GET", "/v1/feedback/{id}", "feedback_not_found"),
        ("GET", "/v1/feedback/{id}/events", "feedback_not_found"),
    ],
)
async def test_what_does_not_exist_is_a_404_and_an_impossible_id_a_422(
    app_on_both: WebApp, method: str, path: str, code: str
) -> None:
    body = {"content": "hello"} if path.endswith("messages") else None

    for unknown in ("4b4d1e5e-3c44-4a3e-9c59-2a52a4cf8d41", "nowhere", "여우"):
        _problem(await app_on_both.http.request(method, path.format(id=unknown), json=body), 404, code)
    response = await app_on_both.http.request(method, path.format(id="a%00b"), json=body)
    assert _problem(response, 422, "invalid_request").errors[0].field.startswith("path.")


async def test_users_message_is_no_reply(app: WebApp) -> None:
    conversation_id = await app.new_conversation()
    await app.ask(conversation_id, "hello")
    question = (await app.read(conversation_id))["messages"][0]

    for method, path in (("GET", ""), ("GET", "/events"), ("POST", "/stop"), ("POST", "/retry")):
        response = await app.http.request(method, f"/v1/replies/{question['id']}{path}")
        _problem(response, 404, "message_not_found")


async def test_finished_reply_cannot_be_written_again(app: WebApp) -> None:
    reply = (await app.ask(await app.new_conversation(), "hello")).reply

    _problem(await app.http.post(f"/v1/replies/{reply['id']}/retry"), 409, "reply_not_retryable")

    assert await app.reply(reply["id"]) == reply


async def test_there_is_nothing_to_judge_before_the_first_reply(app: WebApp) -> None:
    path = f"/v1/conversations/{await app.new_conversation()}/feedback"

    _problem(await app.http.post(path), 409, "nothing_to_judge")

    assert (await app.http.get(path)).json() == {"items": []}


async def test_unknown_rubric_fields_are_refused(app: WebApp) -> None:
    conversation_id = await app.new_conversation()
    await app.ask(conversation_id, "hello")

    response = await app.http.post(
        f"/v1/conversations/{conversation_id}/feedback", json={"rubric": {"id": "not an id!", "version": 0}}
    )

    fields = {error.field for error in _problem(response, 422, "invalid_request").errors}
    assert fields == {"rubric.id", "rubric.version"}


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
@pytest.mark.parametrize(
    "path", ["/v1/nowhere", "/nowhere", "/v1/conversations/", "/a%00b", "/../settings.py"]
)
async def test_unknown_path_is_a_404(app: WebApp, method: str, path: str) -> None:
    _problem(await app.http.request(method, path), 404, "not_found")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("DELETE", "/v1/conversations"),
        ("PUT", "/v1/conversations/some"),
        ("GET", "/v1/conversations/some/messages"),
        ("GET", "/v1/replies/some/stop"),
        ("POST", "/v1/feedback/some/events"),
        ("POST", "/health"),
    ],
)
async def test_wrong_method_is_a_405_that_names_a_right_one(app: WebApp, method: str, path: str) -> None:
    response = await app.http.request(method, path)

    _problem(response, 405, "method_not_allowed")
    assert response.headers["Allow"]
