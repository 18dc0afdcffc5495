"""The class of a request, from its header, and the vLLM priority that it stands for."""

from enum import StrEnum
from typing import Final

from tandem_inference.errors import InvalidRequestError

CLASS_HEADER: Final = "X-Tandem-Class"


class RequestClass(StrEnum):
    """Who waits for the answer: a person (`interactive`) or nobody in particular (`background`)."""

    INTERACTIVE = "interactive"
    BACKGROUND = "background"

    @property
    def priority(self) -> int:
        """VLLM's priority: lower is scheduled first."""
        return 0 if self is RequestClass.INTERACTIVE else 10


def request_class(header: str | None, default: RequestClass) -> RequestClass:
    """Return the class that the header names, `default` without one.

    Raises:
        InvalidRequestError: the header names no class.
    """
    if header is None:
        return default
    try:
        return RequestClass(header.strip().lower())
    except ValueError:
        expected = " or ".join(RequestClass)
        raise InvalidRequestError(f"{CLASS_HEADER}: expected {expected}, got {header[:100]!r}.") from None
