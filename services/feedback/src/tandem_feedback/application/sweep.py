"""Finds jobs that nobody works on although they have no outcome, and publishes their requests again."""

import asyncio
import logging
from collections.abc import Callable
from datetime import timedelta

from tandem_feedback.application.ports import Store

logger = logging.getLogger(__name__)

_BATCH_ROWS = 100


class Sweeper:
    """Sweeps every `every_seconds`; any number of processes may do so at once."""

    def __init__(
        self,
        store: Store,
        *,
        every_seconds: float,
        requeue_after: timedelta,
        on_committed: Callable[[], None],
    ) -> None:
        self._store = store
        self._every_seconds = every_seconds
        self._requeue_after = requeue_after
        self._on_committed = on_committed

    async def run(self) -> None:
        """Sweep until cancelled."""
        while True:
            await self.sweep()
            await asyncio.sleep(self._every_seconds)

    async def sweep(self) -> None:
        """Sweep once. A request published twice is one job all the same."""
        async with self._store.write() as transaction:
            requeued = await transaction.requeue_abandoned(older_than=self._requeue_after, limit=_BATCH_ROWS)
        for request_id in requeued:
            logger.warning("job.requeued", extra={"request_id": request_id})
        if requeued:
            self._on_committed()
