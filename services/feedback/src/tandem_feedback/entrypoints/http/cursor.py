"""Page cursors: opaque text to callers, a time and a request id inside."""

import base64
from datetime import datetime, timedelta

from fastapi.exceptions import RequestValidationError
from pydantic import TypeAdapter

from tandem_contracts.feedback.v1 import Identifier

_IDENTIFIER: TypeAdapter[str] = TypeAdapter(Identifier)


def encode_cursor(position: tuple[datetime, str] | None) -> str | None:
    """Turn a position into text; None stays None."""
    if position is None:
        return None
    time, row_id = position
    return base64.urlsafe_b64encode(f"{time.isoformat()}|{row_id}".encode()).decode()


def decode_cursor(text: str | None) -> tuple[datetime, str] | None:
    """Read a cursor back. Raises RequestValidationError naming `query.cursor` for anything we never gave out."""
    if text is None:
        return None
    try:
        time, _, row_id = base64.urlsafe_b64decode(text.encode()).decode().partition("|")
        position = datetime.fromisoformat(time), _IDENTIFIER.validate_python(row_id)
    except ValueError:
        position = None
    if position is None or position[0].utcoffset() != timedelta(0):
        message = "expected a next_cursor of a former page; leave it out for the first page"
        raise RequestValidationError([{"type": "cursor", "loc": ("query", "cursor"), "msg": message}])
    return position
