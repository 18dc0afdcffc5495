"""Webhooks: which addresses are allowed at all, what became of a delivery, and when to try again. Resolving is the adapter's."""

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final
from urllib.parse import urlsplit

from tandem_feedback.domain.errors import WebhookRefusedError

_HTTPS_PORT = 443
# With the pauses below, the last attempt comes three to four hours after the first one.
MAX_ATTEMPTS: Final = 12
_FIRST_PAUSE = timedelta(seconds=10)
_LONGEST_PAUSE = timedelta(hours=1)


class DeliveryState(StrEnum):
    """How far a delivery is."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"
    REFUSED = "refused"


@dataclass(frozen=True)
class Delivery:
    """An outcome on its way to a webhook; `attempts` includes the one that it was claimed for."""

    id: str
    request_id: str
    url: str
    event_type: str
    body: bytes
    state: DeliveryState
    attempts: int
    created_at: datetime


@dataclass(frozen=True)
class Answer:
    """What came of one attempt; no status when there was no answer at all."""

    status: int | None
    detail: str

    @property
    def is_success(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


@dataclass(frozen=True)
class LoggedAttempt:
    """One line of the delivery log."""

    number: int
    at: datetime
    answer: Answer


@dataclass(frozen=True)
class LoggedDelivery:
    """A delivery and all its attempts."""

    delivery: Delivery
    attempts: Sequence[LoggedAttempt]


def pause_after(attempts: int) -> timedelta:
    """Return how long to wait after the given number of attempts (from 1), jitter included."""
    growth: int = 2 ** min(attempts - 1, 20)
    return min(_FIRST_PAUSE * growth, _LONGEST_PAUSE) * random.uniform(0.8, 1.2)  # noqa: S311 - jitter


class WebhookHosts:
    """The operator's list: `host` (port 443) or `host:port`. With an empty list there are no webhooks."""

    def __init__(self, listed: Iterable[str]) -> None:
        self._listed = {host.lower() if ":" in host else f"{host.lower()}:{_HTTPS_PORT}" for host in listed}

    def require_listed(self, url: str) -> tuple[str, int]:
        """Return host and port of `url`.

        Raises:
            WebhookRefusedError: no https address, one with a name and password, or a host that is not listed.
        """
        try:
            parts = urlsplit(url)
            host, port = parts.hostname or "", parts.port or _HTTPS_PORT
        except ValueError:
            parts, host, port = urlsplit(""), "", 0
        if parts.scheme != "https" or not host or "@" in parts.netloc:
            raise WebhookRefusedError(
                "webhook_url: expected https://host/path without a user name, got something else"
            )
        if f"{host}:{port}" not in self._listed:
            raise WebhookRefusedError(
                f"webhook_url: {host}:{port} is not among the hosts that TANDEM_FEEDBACK_WEBHOOK_HOSTS lists"
            )
        return host, port
