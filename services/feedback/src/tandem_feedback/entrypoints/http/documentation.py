"""Tells in the OpenAPI document which problems a route may answer with, and the bodies that FastAPI does not read itself."""

from collections import defaultdict
from http import HTTPStatus
from typing import Any, Final

from pydantic import BaseModel

from tandem_contracts.problem import PROBLEM_MEDIA_TYPE, Problem
from tandem_feedback.domain.errors import UnauthorizedError
from tandem_feedback.entrypoints.http.problems import PROBLEMS
from tandem_messaging.errors import DatabaseUnavailableError, TandemError

_SCHEMA_PLACE: Final = "#/components/schemas/{model}"
_CONTENT: Final = {PROBLEM_MEDIA_TYPE: {"schema": {"$ref": _SCHEMA_PLACE.format(model=Problem.__name__)}}}


def problems(*errors: type[TandemError]) -> dict[int | str, dict[str, Any]]:
    """Return FastAPI's `responses` of a route that may raise `errors`, and that a token and the database guard."""
    codes: defaultdict[int, list[str]] = defaultdict(list, {422: ["invalid_request"]})
    for error in (*errors, UnauthorizedError, DatabaseUnavailableError):
        status, code = PROBLEMS[error]
        codes[status].append(code)
    return {
        status: {
            "description": f"{HTTPStatus(status).phrase}: {', '.join(f'`{code}`' for code in found)}",
            "content": _CONTENT,
        }
        for status, found in sorted(codes.items())
    }


def schemas(*models: type[BaseModel]) -> dict[str, Any]:
    """Return the schemas of `models` and of all that they refer to, by name."""
    found: dict[str, Any] = {}
    for model in models:
        schema = model.model_json_schema(ref_template=_SCHEMA_PLACE)
        found.update(schema.pop("$defs", {}))
        found[model.__name__] = schema
    return found
