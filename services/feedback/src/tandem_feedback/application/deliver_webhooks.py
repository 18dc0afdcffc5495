"""Delivers outcomes to webhooks: planned with the outcome, retried with growing pauses, and each attempt written down."""

import asyncio
import logging
from collections.abc import Sequence
from datetime import timedelta
from typing import Protocol

from tandem_feedback.domain.errors import WebhookRefusedError
from tandem_feedback.domain.webhooks import (
    MAX_ATTEMPTS,
    Answer,
    Delivery,
    DeliveryState,
    LoggedDelivery,
    WebhookHosts,
    pause_after,
)

logger = logging.getLogger(__name__)

_AT_ONCE = 10
_POLL_SECONDS = 2.0
# Longer than an attempt may take; whoever crashed in it leaves it to the next one after that.
_LEASE = timedelta(minutes=1)
_LOG_KEPT = timedelta(days=30)
_GONE = 410


class WebhookQueue(Protocol):
    """Planned deliveries and their log. Each method is one transaction."""

    async def claim_due(self, *, limit: int, lease: timedelta) -> Sequence[Delivery]:
        """Take deliveries that are due; they are due again when the lease ends."""

    async def record(
        self, delivery: Delivery, answer: Answer, *, state: DeliveryState, again_after: timedelta | None
    ) -> None:
        """Write an attempt into the log, together with what follows from it."""

    async def log(self, request_id: str) -> Sequence[LoggedDelivery]:
        """Return a request's deliveries, the first one first."""

    async def forget(self, *, older_than: timedelta) -> None:
        """Delete what was finished so long ago."""


class WebhookSender(Protocol):
    """Sends one delivery to a host that is allowed."""

    async def send(self, delivery: Delivery, *, host: str, port: int) -> Answer:
        """Return what came of it; whatever goes wrong on the way is an answer too.

        Raises WebhookRefusedError when the host's address is none that webhooks may go to.
        """


class DeliverWebhooks:
    """The use case of whoever waits for a call."""

    def __init__(self, queue: WebhookQueue, sender: WebhookSender, hosts: WebhookHosts) -> None:
        self._queue = queue
        self._sender = sender
        self._hosts = hosts

    async def run(self) -> None:
        """Deliver until cancelled."""
        await self._queue.forget(older_than=_LOG_KEPT)
        while True:
            if not await self.deliver_due():
                await asyncio.sleep(_POLL_SECONDS)

    async def deliver_due(self) -> int:
        """Try what is due once, some at a time, and return how many they were."""
        due = await self._queue.claim_due(limit=_AT_ONCE, lease=_LEASE)
        await asyncio.gather(*[self._deliver(delivery) for delivery in due])
        return len(due)

    async def _deliver(self, delivery: Delivery) -> None:
        try:
            host, port = self._hosts.require_listed(delivery.url)
            answer = await self._sender.send(delivery, host=host, port=port)
        except WebhookRefusedError as refusal:
            answer, state = Answer(None, str(refusal)), DeliveryState.REFUSED
        else:
            state = _state_after(answer, delivery.attempts)
        again = pause_after(delivery.attempts) if state is DeliveryState.PENDING else None
        await self._queue.record(delivery, answer, state=state, again_after=again)
        logger.info(
            "webhook.tried",
            extra={
                "request_id": delivery.request_id,
                "state": state.value,
                "status": answer.status,
                "attempt": delivery.attempts,
            },
        )


def _state_after(answer: Answer, attempts: int) -> DeliveryState:
    if answer.is_success:
        return DeliveryState.DELIVERED
    is_over = answer.status == _GONE or attempts >= MAX_ATTEMPTS
    return DeliveryState.FAILED if is_over else DeliveryState.PENDING
