"""Feedback's own OpenAPI document tells callers what they may send and get, problems included."""

from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from tandem_contracts.problem import PROBLEM_MEDIA_TYPE
from tandem_feedback.entrypoints.http.app import create_app
from tandem_feedback.settings import FeedbackSettings

DOCUMENT = create_app(FeedbackSettings(_env_file=None)).openapi()


def _operations() -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in DOCUMENT["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


OPERATIONS = dict(_operations())


def _references(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        if isinstance(part.get("$ref"), str):
            yield part["$ref"]
        for value in part.values():
            yield from _references(value)
    elif isinstance(part, list):
        for value in part:
            yield from _references(value)


def test_every_reference_leads_somewhere() -> None:
    schemas = DOCUMENT["components"]["schemas"]
    assert {one for one in _references(DOCUMENT) if one.rsplit("/", 1)[-1] not in schemas} == set()


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_error_response_is_a_problem_document(name: str) -> None:
    for status, response in OPERATIONS[name]["responses"].items():
        if int(status) >= 400:
            assert list(response["content"]) == [PROBLEM_MEDIA_TYPE], status


@pytest.mark.parametrize(
    ("name", "status", "code"),
    [
        ("POST /v1/feedback", 409, "request_mismatch"),
        ("POST /v1/feedback", 413, "request_too_large"),
        ("POST /v1/feedback", 422, "webhook_refused"),
        ("POST /v1/feedback", 401, "unauthorized"),
        ("POST /v1/feedback", 503, "database_unavailable"),
        ("POST /v1/feedback/{request_id}/cancel", 409, "already_finished"),
        ("GET /v1/feedback/{request_id}/events", 404, "feedback_not_found"),
        ("GET /v1/batches/{batch_id}", 404, "batch_not_found"),
        ("PATCH /v1/dead-letters/{letter_id}", 404, "dead_letter_not_found"),
        ("GET /ready", 503, "worker_down"),
    ],
)
def test_route_tells_what_may_go_wrong(name: str, status: int, code: str) -> None:
    assert f"`{code}`" in OPERATIONS[name]["responses"][str(status)]["description"]


def test_body_that_is_described_is_one_that_is_taken() -> None:
    schema = {**DOCUMENT["components"]["schemas"]["NewFeedback"], "components": DOCUMENT["components"]}
    body = {"conversation_id": "c-1", "transcript": [{"role": "user", "content": "hello"}]}
    Draft202012Validator(schema).validate(body)
    assert not Draft202012Validator(schema).is_valid({**body, "surprise": 1})
