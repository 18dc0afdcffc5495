"""Finds jobs without an outcome that nobody works on: fails those past their deadline, and publishes lost ones again."""

import asyncio
import logging
from collections.abc import Callable
from datetime import timedelta

from tandem_feedback.application.jobs_port import Store

logger = logging.getLogger(__name__)

_BATCH_ROWS = 100
# Twice as long as Pub/Sub keeps a message that nobody took.
_CANCELLATIONS_KEPT = timedelta(days=14)


class Sweeper:
    """Sweeps every `every_seconds`; any number of processes may do so at once.

    `queue_is_empty` tells whether a request without a worker can still be waiting in Pub/Sub: while the queue has
    messages, it most likely is, and publishing it again would only lengthen the queue.
    """

    def __init__(
        self,
        store: Store,
        *,
        every_seconds: float,
        requeue_after: timedelta,
        queue_is_empty: Callable[[], bool],
        on_committed: Callable[[], None],
    ) -> None:
        self._store = store
        self._every_seconds = every_seconds
        self._requeue_after = requeue_after
        self._queue_is_empty = queue_is_empty
        self._on_committed = on_committed

    async def run(self) -> None:
        """Sweep until cancelled."""
        while True:
            await self.sweep()
            await asyncio.sleep(self._every_seconds)

    async def sweep(self) -> None:
        """Sweep once. A request published twice is one job all the same."""
        async with self._store.write() as transaction:
            overdue = await transaction.end_overdue(limit=_BATCH_ROWS)
            await transaction.forget_cancellations(older_than=_CANCELLATIONS_KEPT)
        for request_id in overdue:
            logger.warning("job.deadline_exceeded", extra={"request_id": request_id})
        requeued = await self._requeue() if self._queue_is_empty() else ()
        if overdue or requeued:
            self._on_committed()

    async def _requeue(self) -> tuple[str, ...]:
        async with self._store.write() as transaction:
            requeued = await transaction.requeue_abandoned(older_than=self._requeue_after, limit=_BATCH_ROWS)
        for request_id in requeued:
            logger.warning("job.requeued", extra={"request_id": request_id})
        return tuple(requeued)
