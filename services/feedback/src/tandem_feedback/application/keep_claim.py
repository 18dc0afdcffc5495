"""Keeps the claim on a job while it is worked on, and stops the work at once when the claim is gone.

Who ends a job elsewhere (a cancel, another worker) needs to tell nobody: each claim is looked at every second.
"""

import asyncio
import logging
from collections.abc import Coroutine
from contextlib import suppress
from datetime import timedelta
from typing import Any, TypeVar

from tandem_feedback.application.jobs_port import Store
from tandem_feedback.domain.errors import JobLostError
from tandem_feedback.domain.job import Claim

logger = logging.getLogger(__name__)

_LOOK_EVERY_SECONDS = 1.0
_Result = TypeVar("_Result")


class ClaimKeeper:
    """Renews claims three times per lease; one serves all jobs of a worker."""

    def __init__(self, store: Store, lease: timedelta) -> None:
        self._store = store
        self._lease_seconds = lease.total_seconds()
        self._keepers: set[asyncio.Task[None]] = set()

    async def run(self, claim: Claim, work: Coroutine[Any, Any, _Result]) -> _Result:
        """Return what `work` returns.

        Raises JobLostError when the job was ended or taken by somebody else meanwhile; `work` is cancelled then.
        """
        working = asyncio.create_task(work)
        over, lost = asyncio.Event(), asyncio.Event()
        # Told to end and never cancelled: a cancelled writer may keep SQLite's write lock for a while.
        keeper = asyncio.create_task(self._keep(claim, working, over=over, lost=lost))
        self._keepers.add(keeper)
        keeper.add_done_callback(self._keepers.discard)
        try:
            return await working
        except asyncio.CancelledError:
            if not lost.is_set():
                raise
            raise JobLostError(f"request {claim.request_id}: ended or taken over elsewhere") from None
        finally:
            over.set()

    async def _keep(
        self, claim: Claim, working: "asyncio.Task[Any]", *, over: asyncio.Event, lost: asyncio.Event
    ) -> None:
        tick = min(_LOOK_EVERY_SECONDS, self._lease_seconds / 3)
        clock = asyncio.get_running_loop().time
        renewed_at = clock()
        while not over.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(over.wait(), tick)
                return
            renew = clock() - renewed_at > self._lease_seconds / 3 - tick / 2
            try:
                held = await self._renew(claim) if renew else await self._holds(claim)
            except Exception:
                logger.exception("job.renew_failed", extra={"request_id": claim.request_id})
                continue
            renewed_at = clock() if renew else renewed_at
            if not held and not over.is_set():
                logger.warning("job.lost", extra={"request_id": claim.request_id, "fence": claim.fence})
                lost.set()
                working.cancel()
                return

    async def _renew(self, claim: Claim) -> bool:
        async with self._store.write() as transaction:
            return await transaction.renew(claim, lease=timedelta(seconds=self._lease_seconds))

    async def _holds(self, claim: Claim) -> bool:
        async with self._store.read() as transaction:
            return await transaction.holds(claim)
