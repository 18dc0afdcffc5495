"""RFC 9457 problem details: the one shape of every HTTP error outside the OpenAI-compatible paths.

Which error becomes which status is each service's own table; this module only fixes the shape.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

PROBLEM_MEDIA_TYPE: Final = "application/problem+json"


class FieldError(BaseModel):
    """One field of the request that is not as expected."""

    model_config = ConfigDict(frozen=True)

    field: str = Field(description="Where: dotted path in the body, or `query.limit`, `path.id`, `header.x`.")
    message: str = Field(description="What was expected there.")


class Problem(BaseModel):
    """A problem document. `code` is stable and meant for programs, `detail` is a sentence for people."""

    model_config = ConfigDict(frozen=True)

    type: str = Field(default="about:blank", description="Always about:blank: `code` tells problems apart.")
    title: str = Field(description="The status in words.")
    status: int = Field(ge=400, le=599)
    detail: str = Field(description="What was expected, what came, and what to do next.")
    code: str = Field(pattern=r"^[a-z0-9_]+$", description="Stable identifier of the kind of problem.")
    instance: str | None = Field(default=None, description="Path of the request that failed.")
    errors: tuple[FieldError, ...] = Field(default=(), description="The fields at fault, for invalid input.")


def field_errors(pydantic_errors: Sequence[Mapping[str, Any]]) -> tuple[FieldError, ...]:
    """Turn pydantic's (or FastAPI's) error list into field errors, without repeating what the caller sent.

    FastAPI puts where the value came from first in `loc`; a body's fields are named without that prefix.
    """
    return tuple(
        FieldError(field=_field_name(e), message=str(e["msg"]).removeprefix("Value error, "))
        for e in pydantic_errors
    )


def _field_name(error: Mapping[str, Any]) -> str:
    if error["type"] == "json_invalid":  # located by its offset, which is no field
        return "body"
    location = error["loc"]
    inside = location[1:] if location[:1] == ("body",) else location
    return ".".join(str(part) for part in inside) or "body"
