"""Finds what got lost and sets it going again: replies whose writer died, feedback whose event or outcome vanished."""

import asyncio
import logging
from collections.abc import Callable
from datetime import timedelta

from tandem_chat.application.ports import Store
from tandem_chat.domain.allowance import MINUTE

logger = logging.getLogger(__name__)

_BATCH_ROWS = 100
# Four times as long as Pub/Sub keeps a message that might repeat one.
_OUTCOMES_KEPT = timedelta(days=28)


class Sweeper:
    """Sweeps every `every_seconds`; any number of processes may do so at once."""

    def __init__(
        self,
        store: Store,
        *,
        every_seconds: float,
        reannounce_after_seconds: float,
        on_committed: Callable[[], None],
    ) -> None:
        self._store = store
        self._every_seconds = every_seconds
        self._reannounce_after_seconds = reannounce_after_seconds
        self._on_committed = on_committed

    async def run(self) -> None:
        """Sweep until cancelled."""
        while True:
            await self.sweep()
            await asyncio.sleep(self._every_seconds)

    async def sweep(self) -> None:
        """Sweep once. Announcing again is harmless: the feedback service knows the request by its id."""
        async with self._store.write() as transaction:
            interrupted = await transaction.interrupt_abandoned()
            announced = await transaction.reannounce_overdue(
                first_wait_seconds=self._reannounce_after_seconds, limit=_BATCH_ROWS
            )
            await transaction.forget_outcomes(older_than=_OUTCOMES_KEPT)
            await transaction.forget_starts(older_than=2 * MINUTE)
        for reply_id in interrupted:
            logger.warning("reply.found_abandoned", extra={"reply_id": reply_id})
        for request_id in announced:
            logger.warning("feedback.announced_again", extra={"request_id": request_id})
        if announced:
            self._on_committed()
