"""What a request's headers tell: its class, its tenant, and by when its answer is wanted."""

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from tandem_inference.errors import InvalidRequestError
from tandem_inference.gateway.request_class import CLASS_HEADER, RequestClass, request_class

TENANT_HEADER: Final = "X-Tandem-Tenant"
DEADLINE_HEADER: Final = "X-Tandem-Deadline"

_TENANT = re.compile(r"[A-Za-z0-9._:@-]{1,128}")
# Seconds from now, not an instant: the clocks of two machines need not agree.
_DEADLINE = re.compile(r"-?[0-9]{1,6}(\.[0-9]{1,6})?")


@dataclass(frozen=True, slots=True)
class Caller:
    """For whom a request is. `deadline` is in `time.monotonic`'s seconds; callers without a tenant are one tenant."""

    request_class: RequestClass = RequestClass.INTERACTIVE
    tenant: str = ""
    deadline: float | None = None


def read_caller(headers: Mapping[str, str], *, default_class: RequestClass) -> Caller:
    """Return what `headers` tell.

    Raises:
        InvalidRequestError: a header does not say what it may; the message tells what it may.
    """
    return Caller(
        request_class(headers.get(CLASS_HEADER), default_class),
        _tenant(headers.get(TENANT_HEADER)),
        _deadline(headers.get(DEADLINE_HEADER)),
    )


def _tenant(header: str | None) -> str:
    if header is None:
        return ""
    if not _TENANT.fullmatch(header):
        raise InvalidRequestError(
            f"{TENANT_HEADER}: expected 1 to 128 letters, digits or . _ : @ -, got {header[:200]!r}."
        )
    return header


def _deadline(header: str | None) -> float | None:
    if header is None:
        return None
    if not _DEADLINE.fullmatch(header):
        raise InvalidRequestError(
            f"{DEADLINE_HEADER}: expected seconds from now as a decimal number, such as 12.5, got {header[:100]!r}."
        )
    return time.monotonic() + float(header)
