"""Re-runs stored conversations: makes batches, hands their conversations to the queue a few at a time, tells how far they are.

A batch's judgements are ordinary jobs in the background class; holding most of them back keeps the queue short for new requests.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import uuid4

from tandem_contracts.envelope import MAX_DATA_BYTES
from tandem_contracts.feedback import FeedbackRequestedV1
from tandem_feedback.application.evaluation_port import EvaluationStore, EvaluationTransaction
from tandem_feedback.application.judge import derived_seed
from tandem_feedback.domain.batch import Batch, BatchDefinition, BatchState, rerun
from tandem_feedback.domain.errors import RequestMismatchError
from tandem_feedback.domain.job import Progress
from tandem_feedback.domain.rubric import Rubrics

logger = logging.getLogger(__name__)

# Bounds how long one transaction keeps SQLite's write lock.
_MOST_CONVERSATIONS_AT_ONCE = 25


@dataclass(frozen=True)
class BatchStatus:
    """A batch and how far it is."""

    batch: Batch
    progress: Progress


class RunBatches:
    """The use case of batches."""

    def __init__(self, store: EvaluationStore, rubrics: Rubrics) -> None:
        self._store = store
        self._rubrics = rubrics

    async def create(self, definition: BatchDefinition, *, batch_id: str | None) -> BatchStatus:
        """Store a batch; the same id with the same definition is the same batch.

        Rubrics named without a version are pinned to the newest one. Raises UnknownRubricError and BatchMismatchError.
        """
        variants = tuple(
            variant.model_copy(update={"rubric": self._rubrics.find(variant.rubric).ref})
            for variant in definition.variants
        )
        pinned = definition.model_copy(update={"variants": variants})
        async with self._store.write() as transaction:
            return await _status(transaction, await transaction.add_batch(batch_id or uuid4().hex, pinned))

    async def newest(self, *, limit: int) -> Sequence[BatchStatus]:
        """Return the newest batches, newest first."""
        async with self._store.read() as transaction:
            return [await _status(transaction, batch) for batch in await transaction.batches(limit=limit)]

    async def cancel(self, batch_id: str) -> BatchStatus:
        """Hand no more conversations to the queue; those that are there are still judged. Raises BatchNotFoundError."""
        async with self._store.write() as transaction:
            if (await transaction.batch(batch_id)).state is BatchState.FEEDING:
                await transaction.set_batch(batch_id, state=BatchState.CANCELLED)
            return await _status(transaction, await transaction.batch(batch_id))


class BatchFeeder:
    """Keeps up to `in_flight` judgements of each batch in the queue; any number of processes may feed at once."""

    def __init__(
        self,
        store: EvaluationStore,
        *,
        in_flight: int,
        every_seconds: float,
        default_deadline: timedelta,
        on_committed: Callable[[], None],
    ) -> None:
        self._store = store
        self._in_flight = in_flight
        self._every_seconds = every_seconds
        self._default_deadline = default_deadline
        self._on_committed = on_committed

    async def run(self) -> None:
        """Feed until cancelled."""
        while True:
            if not await self.feed():
                await asyncio.sleep(self._every_seconds)

    async def feed(self) -> int:
        """Feed every batch once and return how many judgements went to the queue."""
        async with self._store.write() as transaction:
            sent = [await self._feed(transaction, batch) for batch in await transaction.lock_feeding()]
        if any(sent):
            self._on_committed()
        return sum(sent)

    async def _feed(self, transaction: EvaluationTransaction, batch: Batch) -> int:
        variants = len(batch.definition.variants)
        # One conversation may always go: two variants must not starve where only one fits.
        missing = self._in_flight - await transaction.open_jobs(batch.id)
        limit = min(max(missing // variants, int(missing == self._in_flight)), _MOST_CONVERSATIONS_AT_ONCE)
        if limit <= 0:
            return 0
        sources = await transaction.sources(
            batch.definition.selection, until=batch.created_at, after=batch.cursor, limit=limit
        )
        sent = 0
        for source in sources:
            for variant in range(variants):
                sent += await self._send(transaction, batch, variant, source)
        state = BatchState.FED if len(sources) < limit else BatchState.FEEDING
        cursor = sources[-1].conversation_id if sources else batch.cursor
        await transaction.set_batch(batch.id, state=state, cursor=cursor)
        return sent

    async def _send(
        self, transaction: EvaluationTransaction, batch: Batch, variant: int, source: FeedbackRequestedV1
    ) -> bool:
        """Hand over one judgement; one that cannot be handed over is left out and must not stop the batch."""
        seed = batch.definition.seed
        if seed is None:
            seed = source.seed if source.seed is not None else derived_seed(source.request_id)
        request = rerun(batch, variant, source, seed=seed, now=await transaction.now())
        if len(request.model_dump_json().encode()) > MAX_DATA_BYTES:
            logger.warning("batch.too_large", extra={"request_id": request.request_id, "batch_id": batch.id})
            return False
        try:
            accepted = await transaction.accept(request, default_deadline=self._default_deadline)
        except RequestMismatchError:
            logger.warning("batch.id_taken", extra={"request_id": request.request_id, "batch_id": batch.id})
            return False
        if accepted.is_new:
            await transaction.send_to_workers(request)
        return accepted.is_new


async def _status(transaction: EvaluationTransaction, batch: Batch) -> BatchStatus:
    return BatchStatus(batch, await transaction.progress(batch.id))
