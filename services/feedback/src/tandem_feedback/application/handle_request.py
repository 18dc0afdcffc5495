"""Brings one feedback request to exactly one outcome, however often it is delivered and whoever crashes on the way.

The job's row decides: it is claimed under a lease and a fence, and the outcome is stored together with its event.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from opentelemetry import metrics

from tandem_contracts.envelope import Envelope
from tandem_contracts.feedback import (
    FeedbackCancelRequestedV1,
    FeedbackCompletedV1,
    FeedbackFailedV1,
    FeedbackOutcome,
    FeedbackRequestedV1,
)
from tandem_feedback.application.cancel_request import CancelRequest
from tandem_feedback.application.engine_breaker import EngineBreaker
from tandem_feedback.application.jobs_port import Store, Transaction
from tandem_feedback.application.judge import Judge
from tandem_feedback.application.keep_claim import ClaimKeeper
from tandem_feedback.domain.errors import (
    EngineBusyError,
    EngineFailedError,
    EngineUnavailableError,
    FeedbackFailure,
    JobLostError,
    JobTakenError,
    TooManyAttemptsError,
    UnexpectedEventError,
)
from tandem_feedback.domain.job import Claim
from tandem_feedback.domain.outcomes import deadline_exceeded, failed
from tandem_feedback.domain.retrying import pause_after
from tandem_messaging.errors import TransientError
from tandem_telemetry import names

logger = logging.getLogger(__name__)
_CRASHED = "its worker crashed in every attempt that it may have"
_meter = metrics.get_meter(__name__)
_jobs = _meter.create_counter(names.FEEDBACK_JOBS, "{job}", "Jobs by outcome")
_waits = _meter.create_counter(names.FEEDBACK_WAITS, "{wait}", "Times a job waited for the engine")


@dataclass(frozen=True)
class HandlingLimits:
    """How long a claim lasts, how often a job may be tried, and how long a request may wait that does not say."""

    lease: timedelta
    max_attempts: int
    default_deadline: timedelta = timedelta(days=1)


class HandleRequest:
    """The use case behind the topic of requests. `_owner` names this process in the rows that it claims."""

    def __init__(
        self, store: Store, judge: Judge, limits: HandlingLimits, *, on_committed: Callable[[], None]
    ) -> None:
        """`on_committed` is told of each stored outcome, so that its event does not wait for a poll."""
        self._store = store
        self._judge = judge
        self._limits = limits
        self._on_committed = on_committed
        self._owner = uuid4().hex
        self._keeper = ClaimKeeper(store, limits.lease)
        self._breaker = EngineBreaker()
        self._cancel = CancelRequest(store, on_committed=on_committed)

    async def handle(self, envelope: Envelope) -> None:
        """Return when the request has its outcome and the outcome's event is stored.

        Raises:
            TransientError: not now, call again later; only an EngineFailedError has spent an attempt.
            PermanentError: the message belongs to the dead letters (not a request, another body, too many crashes).
        """
        event = envelope.event
        if isinstance(event, FeedbackCancelRequestedV1):
            await self._cancel.cancel(event.request_id)
        elif isinstance(event, FeedbackRequestedV1):
            await self._bring_to_an_end(event)
        else:
            raise UnexpectedEventError(
                f"expected feedback.requested.v1 or feedback.cancel_requested.v1 on this topic, got {event.event_type}"
            )

    async def _bring_to_an_end(self, request: FeedbackRequestedV1) -> None:
        if await self._is_over(request):
            return
        self._breaker.require_usable()
        async with self._store.write() as transaction:
            claim = await transaction.claim(request.request_id, owner=self._owner, lease=self._limits.lease)
        try:
            outcome = await self._attempt(claim, request)
        except JobLostError:
            await self._give_way(request)
        else:
            await self._finish(claim, outcome)

    async def _is_over(self, request: FeedbackRequestedV1) -> bool:
        """Make or find the job; True when there is nothing to work on, and its outcome is (once more) on its way."""
        async with self._store.write() as transaction:
            accepted = await transaction.accept(request, default_deadline=self._limits.default_deadline)
            job = accepted.job
            if job.state.is_final:
                if job.outcome is not None and not accepted.is_new:
                    await transaction.announce(job.outcome)
            elif job.deadline_at is not None and job.deadline_at <= (now := await transaction.now()):
                await _end(transaction, deadline_exceeded(job, now))
            elif job.attempts >= self._limits.max_attempts:
                await _end(transaction, self._too_many(request, _CRASHED))
            else:
                return False
        self._on_committed()
        logger.info("job.over", extra={"request_id": request.request_id, "was": job.state.value})
        if not job.state.is_final and job.attempts >= self._limits.max_attempts:
            raise TooManyAttemptsError(f"request {request.request_id}: {_CRASHED}")
        return True

    async def _attempt(self, claim: Claim, request: FeedbackRequestedV1) -> FeedbackOutcome:
        try:
            result = await self._keeper.run(claim, self._judge.judge(request))
        except FeedbackFailure as failure:
            self._breaker.engine_answers()
            return failed(request, failure.code, str(failure), claim.attempts)
        except JobLostError:
            raise
        except EngineFailedError as error:
            await self._note_failure(claim, request, error)
            raise
        except TransientError as error:
            await self._note_waiting(claim, error)
            raise
        except asyncio.CancelledError:
            reason = "given back: its worker was told to stop"
            await asyncio.shield(self._give_back(claim, reason))
            raise
        except Exception as error:
            await self._note_failure(claim, request, error)
            raise
        self._breaker.engine_answers()
        return FeedbackCompletedV1(
            request_id=request.request_id,
            conversation_id=request.conversation_id,
            result=result,
            completed_at=datetime.now(UTC),
        )

    async def _note_waiting(self, claim: Claim, error: TransientError) -> None:
        _waits.add(1)
        if isinstance(error, EngineUnavailableError) and not isinstance(error, EngineBusyError):
            self._breaker.engine_is_away(error)
        await self._give_back(claim, f"waiting: {error}")

    async def _note_failure(self, claim: Claim, request: FeedbackRequestedV1, error: Exception) -> None:
        """Count the attempt. Raises TooManyAttemptsError, with the job failed, when it was the last one."""
        told = str(error) if isinstance(error, EngineFailedError) else f"a defect, {type(error).__name__}"
        if claim.attempts >= self._limits.max_attempts:
            detail = f"every one of {claim.attempts} attempts failed, the last one with: {told}"
            await self._finish(claim, self._too_many(request, detail))
            raise TooManyAttemptsError(f"request {request.request_id}: {detail}") from error
        pause = pause_after(claim.attempts)
        if isinstance(error, EngineFailedError):
            error.retry_after = pause.total_seconds()
        await self._give_back(claim, f"attempt {claim.attempts} failed: {told}", retry_after=pause)

    async def _give_way(self, request: FeedbackRequestedV1) -> None:
        """Return when the job was ended elsewhere. Raises JobTakenError when another worker has it."""
        async with self._store.read() as transaction:
            job = await transaction.job(request.request_id)
        if not job.state.is_final:
            raise JobTakenError(f"request {request.request_id}: another worker has taken over")

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

    async def _give_back(self, claim: Claim, reason: str, *, retry_after: timedelta | None = None) -> None:
        async with self._store.write() as transaction:
            await transaction.give_back(
                claim, count_attempt=retry_after is not None, reason=reason, retry_after=retry_after
            )

    def _too_many(self, request: FeedbackRequestedV1, detail: str) -> FeedbackFailedV1:
        return failed(request, TooManyAttemptsError.code, detail, self._limits.max_attempts)


async def _end(transaction: Transaction, outcome: FeedbackOutcome) -> None:
    if not await transaction.end(outcome):
        raise JobTakenError(f"request {outcome.request_id}: another worker is on it")
