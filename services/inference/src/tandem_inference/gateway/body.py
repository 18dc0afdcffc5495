"""Reads a request's body once and checks what the gateway itself relies on: a JSON object that names a model.

All other fields are for the engine to judge: the callers inside are trusted.
"""

import json
from collections.abc import AsyncIterable
from typing import Any, NoReturn

from tandem_inference.errors import BodyTooLargeError, InvalidRequestError

Body = dict[str, Any]


async def read_body(chunks: AsyncIterable[bytes], *, max_bytes: int) -> Body:
    """Return the JSON object that `chunks` hold.

    Raises:
        BodyTooLargeError: more than `max_bytes` came; the rest is not read.
        InvalidRequestError: it is no JSON object.
    """
    raw = bytearray()
    async for chunk in chunks:
        raw += chunk
        if len(raw) > max_bytes:
            raise BodyTooLargeError(f"The request's body is over {max_bytes} bytes. Send a shorter one.")
    return _parse(bytes(raw))


def model_of(body: Body) -> str:
    """Return the model that `body` names; raise InvalidRequestError when it names none."""
    model = body.get("model")
    if not isinstance(model, str) or not model:
        came = (
            "nothing"
            if model is None
            else f"a value of type {type(model).__name__}"
            if model != ""
            else "an empty string"
        )
        raise InvalidRequestError(
            f"model: expected the name of a model, got {came}. GET /v1/models lists them.", param="model"
        )
    return model


def encode_body(body: Body) -> bytes:
    """Return `body` as JSON; raise InvalidRequestError when its text is not Unicode."""
    try:
        return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:
        raise InvalidRequestError("The body holds half of a surrogate pair, which is not text.") from None


def _parse(raw: bytes) -> Body:
    try:
        body = json.loads(raw, parse_constant=_refuse_constant)
    except RecursionError:
        raise InvalidRequestError("The body is nested too deeply.") from None
    except UnicodeDecodeError:
        raise InvalidRequestError("The body is not JSON: expected text in UTF-8.") from None
    except ValueError as error:
        raise InvalidRequestError(f"The body is not JSON: {error}.") from None
    if not isinstance(body, dict):
        raise InvalidRequestError(
            f"The body: expected a JSON object, got a value of type {type(body).__name__}."
        )
    return body


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON value")
