"""Chat's own OpenAPI document tells callers what they may get, problems included."""

from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from tandem_chat.domain import errors
from tandem_chat.entrypoints.http.app import create_app
from tandem_chat.entrypoints.http.problems import PROBLEMS, problem_of
from tandem_chat.settings import ChatSettings
from tandem_contracts.problem import PROBLEM_MEDIA_TYPE

DOCUMENT = create_app(ChatSettings()).openapi()
# Told inside of a stream, never as the status of a response.
ONLY_IN_STREAMS = {"engine_broke_off"}


def _operations() -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in DOCUMENT["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


OPERATIONS = dict(_operations())
# Their callers expect OpenAI's error objects; see tests/integration/chat/test_openai_face.py.
OPENAI_OPERATIONS = {"GET /v1/models", "POST /v1/chat/completions"}


def _codes(operation: dict[str, Any], status: int) -> str:
    return str(operation["responses"][str(status)]["description"])


@pytest.mark.parametrize("name", sorted(set(OPERATIONS) - OPENAI_OPERATIONS))
def test_every_error_response_is_a_problem_document(name: str) -> None:
    for status, response in OPERATIONS[name]["responses"].items():
        if int(status) >= 400:
            assert list(response["content"]) == [PROBLEM_MEDIA_TYPE], status
            assert response["content"][PROBLEM_MEDIA_TYPE]["schema"]["$ref"].endswith("/Problem")


def test_every_code_is_documented_at_some_route_with_its_status() -> None:
    for status, code in PROBLEMS.values():
        told = [
            name
            for name, operation in OPERATIONS.items()
            if f"`{code}`" in operation["responses"].get(str(status), {}).get("description", "")
        ]
        assert bool(told) != (code in ONLY_IN_STREAMS), code


@pytest.mark.parametrize(
    ("name", "status", "code"),
    [
        ("POST /v1/conversations/{conversation_id}/messages", 404, "conversation_not_found"),
        ("POST /v1/conversations/{conversation_id}/messages", 409, "reply_in_progress"),
        ("POST /v1/conversations/{conversation_id}/messages", 413, "body_too_large"),
        ("POST /v1/conversations/{conversation_id}/messages", 422, "message_too_long"),
        ("POST /v1/conversations/{conversation_id}/messages", 422, "invalid_request"),
        ("POST /v1/conversations/{conversation_id}/messages", 503, "engine_not_ready"),
        ("POST /v1/conversations/{conversation_id}/feedback", 409, "nothing_to_judge"),
        ("POST /v1/replies/{message_id}/retry", 409, "reply_not_retryable"),
        ("GET /v1/replies/{message_id}/events", 404, "message_not_found"),
        ("GET /v1/feedback/{feedback_id}", 404, "feedback_not_found"),
        ("GET /ready", 503, "engine_not_ready"),
    ],
)
def test_route_tells_what_may_go_wrong(name: str, status: int, code: str) -> None:
    assert f"`{code}`" in _codes(OPERATIONS[name], status)


def test_problem_documents_fit_their_schema() -> None:
    schema = {**DOCUMENT["components"]["schemas"]["Problem"], "components": DOCUMENT["components"]}
    problem = problem_of(errors.MessageTooLongError("content: too long"), "/v1/x")

    Draft202012Validator(schema).validate(problem.model_dump(mode="json", exclude_none=True))


def test_streams_are_declared_as_streams() -> None:
    streaming = {
        name
        for name, operation in OPERATIONS.items()
        if "text/event-stream" in operation["responses"].get("200", {}).get("content", {})
    }

    assert streaming == {
        "POST /v1/conversations/{conversation_id}/messages",
        "POST /v1/replies/{message_id}/retry",
        "GET /v1/replies/{message_id}/events",
        "GET /v1/feedback/{feedback_id}/events",
    }
