"""Calls requests off: one that waits never runs, one that runs is stopped, one that has not come yet is remembered."""

import logging
from collections.abc import Callable

from tandem_feedback.application.jobs_port import Store
from tandem_feedback.domain.job import Job

logger = logging.getLogger(__name__)


class CancelRequest:
    """The use case of whoever does not want the feedback any more."""

    def __init__(self, store: Store, *, on_committed: Callable[[], None]) -> None:
        self._store = store
        self._on_committed = on_committed

    async def cancel(self, request_id: str) -> Job | None:
        """Return the job as it is now: cancelled, unless its outcome was there first. None: it has not come yet.

        The worker that is on it sees within a second that its claim is gone, and closes its call to the engine.
        """
        async with self._store.write() as transaction:
            job = await transaction.cancel(request_id)
        self._on_committed()
        logger.info(
            "job.cancel_asked",
            extra={"request_id": request_id, "state": job.state.value if job else "not here yet"},
        )
        return job
