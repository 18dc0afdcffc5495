"""Brings one feedback request to exactly one outcome, however often it is delivered and whoever crashes on the way.

The job's row decides: it is claimed under a lease and a fence, and the outcome is stored together with its event.
"""

import asyncio
import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from opentelemetry import metrics

from tandem_contracts.envelope import Envelope
from tandem_contracts.feedback import (
    FeedbackCompletedV1,
    FeedbackFailedV1,
    FeedbackOutcome,
    FeedbackRequestedV1,
)
from tandem_feedback.application.judge import Judge
from tandem_feedback.application.ports import Store
from tandem_feedback.domain.errors import FeedbackFailure, TooManyAttemptsError
from tandem_feedback.domain.job import Claim
from tandem_messaging.errors import PermanentError, TransientError
from tandem_telemetry import names

logger = logging.getLogger(__name__)
_meter = metrics.get_meter(__name__)
_jobs = _meter.create_counter(names.FEEDBACK_JOBS, "{job}", "Jobs by outcome")
_waits = _meter.create_counter(names.FEEDBACK_WAITS, "{wait}", "Times a job waited for the engine")


class HandleRequest:
    """The use case behind the topic of requests. `owner` names this process in the rows that it claims."""

    def __init__(
        self,
        store: Store,
        judge: Judge,
        *,
        lease: timedelta,
        max_attempts: int,
        on_committed: Callable[[], None],
    ) -> None:
        """`on_committed` is told of each stored outcome, so that its event does not wait for a poll."""
        self._store = store
        self._judge = judge
        self._lease = lease
        self._max_attempts = max_attempts
        self._on_committed = on_committed
        self._owner = uuid4().hex

    async def handle(self, envelope: Envelope) -> None:
        """Return when the request has its outcome and the outcome's event is stored.

        Raises:
            TransientError: not now; nothing was spent, call again later.
            PermanentError: the message belongs to the dead letters (not a request, another body, too many crashes).
        """
        request = envelope.event
        if not isinstance(request, FeedbackRequestedV1):
            raise PermanentError(f"expected feedback.requested.v1 on this topic, got {request.event_type}")
        claim = await self._take(request)
        if claim is None:
            return
        outcome = await self._work_on(claim, request)
        await self._finish(claim, outcome)

    async def _take(self, request: FeedbackRequestedV1) -> Claim | None:
        """Claim the job; None when it was finished before, which only announces its outcome once more."""
        async with self._store.write() as transaction:
            job = await transaction.accept(request)
            if job.state.is_final:
                if job.outcome is not None:
                    await transaction.announce(job.outcome)
            elif job.attempts < self._max_attempts:
                return await transaction.claim(request.request_id, owner=self._owner, lease=self._lease)
        if job.state.is_final:
            logger.info("job.duplicate", extra={"request_id": request.request_id, "state": job.state.value})
            self._on_committed()
            return None
        raise await self._give_up(request)

    async def _give_up(self, request: FeedbackRequestedV1) -> TooManyAttemptsError:
        """Fail a job that has used up its attempts, and hand its message to the dead letters."""
        detail = f"every one of {self._max_attempts} attempts ended in a crash or a defect of the worker"
        async with self._store.write() as transaction:
            claim = await transaction.claim(request.request_id, owner=self._owner, lease=self._lease)
        await self._finish(claim, _failed(request, "too_many_attempts", detail, self._max_attempts))
        return TooManyAttemptsError(f"request {request.request_id}: {detail}")

    async def _work_on(self, claim: Claim, request: FeedbackRequestedV1) -> FeedbackOutcome:
        heartbeat = asyncio.create_task(self._keep(claim, asyncio.current_task()))
        try:
            result = await self._judge.judge(request)
        except FeedbackFailure as failure:
            return _failed(request, failure.code, str(failure), claim.attempts)
        except TransientError:
            _waits.add(1)
            await self._give_back(claim, count_attempt=False)
            raise
        except asyncio.CancelledError:
            await asyncio.shield(self._give_back(claim, count_attempt=False))
            raise
        except Exception:
            await self._give_back(claim, count_attempt=True)
            raise
        finally:
            heartbeat.cancel()
        return FeedbackCompletedV1(
            request_id=request.request_id,
            conversation_id=request.conversation_id,
            result=result,
            completed_at=datetime.now(UTC),
        )

    async def _finish(self, claim: Claim, outcome: FeedbackOutcome) -> None:
        async with self._store.write() as transaction:
            stored = await transaction.finish(claim, outcome)
        if not stored:
            logger.warning("job.fenced", extra={"request_id": claim.request_id, "fence": claim.fence})
            return
        self._on_committed()
        _jobs.add(1, {names.EVENT_TYPE: outcome.event_type})
        logger.info(
            "job.finished",
            extra={
                "request_id": outcome.request_id,
                "conversation_id": outcome.conversation_id,
                "type": outcome.event_type,
                "attempts": claim.attempts,
            },
        )

    async def _give_back(self, claim: Claim, *, count_attempt: bool) -> None:
        async with self._store.write() as transaction:
            await transaction.give_back(claim, count_attempt=count_attempt)

    async def _keep(self, claim: Claim, worker: "asyncio.Task[None] | None") -> None:
        """Renew the lease three times per term; stop working when somebody else has taken the job."""
        while True:
            await asyncio.sleep(self._lease.total_seconds() / 3)
            try:
                async with self._store.write() as transaction:
                    held = await transaction.renew(claim, lease=self._lease)
            except Exception:
                logger.exception("job.renew_failed", extra={"request_id": claim.request_id})
                continue
            if not held and worker is not None:
                logger.warning("job.lost", extra={"request_id": claim.request_id, "fence": claim.fence})
                worker.cancel()
                return


def _failed(request: FeedbackRequestedV1, code: str, detail: str, attempts: int) -> FeedbackFailedV1:
    return FeedbackFailedV1(
        request_id=request.request_id,
        conversation_id=request.conversation_id,
        code=code,
        detail=detail,
        attempts=attempts,
        failed_at=datetime.now(UTC),
    )
