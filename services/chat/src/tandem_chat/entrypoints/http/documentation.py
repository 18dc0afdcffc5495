"""Tells in the OpenAPI document which problems a route may answer with; the table itself is in `problems`."""

from collections import defaultdict
from http import HTTPStatus
from typing import Any, Final

from tandem_chat.domain.errors import SignInUnavailableError, UnauthenticatedError
from tandem_chat.entrypoints.http.problems import PROBLEMS
from tandem_contracts.problem import PROBLEM_MEDIA_TYPE, Problem
from tandem_messaging.errors import DatabaseUnavailableError, TandemError

_SCHEMA_PLACE: Final = "#/components/schemas/{model}"
_CONTENT: Final = {PROBLEM_MEDIA_TYPE: {"schema": {"$ref": _SCHEMA_PLACE.format(model=Problem.__name__)}}}


def problems(*errors: type[TandemError], signed_in: bool = True) -> dict[int | str, dict[str, Any]]:
    """Return FastAPI's `responses` of a route that may raise `errors`, and refuses bad input like every other.

    No route works without the database either, and those for users ask who calls (`signed_in`).
    """
    codes: defaultdict[int, list[str]] = defaultdict(
        list,
        {
            413: ["body_too_large"],
            422: ["invalid_request"],
            503: [PROBLEMS[DatabaseUnavailableError][1]],
        },
    )
    for error in (*((UnauthenticatedError, SignInUnavailableError) if signed_in else ()), *errors):
        status, code = PROBLEMS[error]
        codes[status].append(code)
    return {
        status: {
            "description": f"{HTTPStatus(status).phrase}: {', '.join(f'`{code}`' for code in found)}",
            "content": _CONTENT,
        }
        for status, found in sorted(codes.items())
    }


def openai_errors(*errors: type[TandemError]) -> dict[int | str, dict[str, Any]]:
    """Return FastAPI's `responses` of a route on the OpenAI-compatible face: the same errors in OpenAI's shape."""
    responses = problems(*errors)
    if 422 in responses:
        responses[400] = responses.pop(422)
    # Said here although 400 stands for it: FastAPI would document a shape that is never sent.
    responses[422] = {"description": "Never sent here; 400 tells what is wrong."}
    content = {"application/json": {"schema": {"type": "object", "required": ["error"]}}}
    return {status: {**told, "content": content} for status, told in responses.items()}


def problem_schemas() -> dict[str, Any]:
    """Return the schemas that the responses refer to, by name."""
    schema = Problem.model_json_schema(ref_template=_SCHEMA_PLACE)
    parts: dict[str, Any] = schema.pop("$defs", {})
    return {**parts, Problem.__name__: schema}
