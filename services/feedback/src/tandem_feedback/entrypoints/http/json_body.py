"""Reads a JSON body into a model: bounded before it is held, and refused in the words of every other bad input."""

from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError

from tandem_contracts.envelope import MAX_DATA_BYTES
from tandem_feedback.domain.errors import RequestTooLargeError

_Model = TypeVar("_Model", bound=BaseModel)
_MAX_BYTES: Final = MAX_DATA_BYTES


def json_body(model: type[_Model], *, optional: bool = False) -> Callable[[Request], Awaitable[_Model]]:
    """Return the dependency that reads a `model`; an optional body may be empty.

    It raises RequestTooLargeError and RequestValidationError.
    """

    async def read(request: Request) -> _Model:
        body = await _bounded(request)
        return parse(model, body or b"{}" if optional else body)

    return read


def parse(model: type[_Model], body: bytes) -> _Model:
    """Read `body` as UTF-8 JSON. Raises RequestValidationError."""
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False, include_context=False)
        raise RequestValidationError([{**one, "loc": ("body", *one["loc"])} for one in found]) from error


def documented(model: type[BaseModel], *, required: bool = True) -> dict[str, Any]:
    """Return what tells the OpenAPI document of a body that `json_body` reads."""
    schema = {"$ref": f"#/components/schemas/{model.__name__}"}
    return {"requestBody": {"required": required, "content": {"application/json": {"schema": schema}}}}


async def _bounded(request: Request) -> bytes:
    received = bytearray()
    async for chunk in request.stream():
        received += chunk
        if len(received) > _MAX_BYTES:
            raise RequestTooLargeError(f"body: expected at most {_MAX_BYTES} bytes; send less")
    return bytes(received)
