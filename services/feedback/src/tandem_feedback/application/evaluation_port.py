"""What re-runs, comparisons and agreement need of the database, beside jobs themselves; `adapters/sql` has the real one."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from tandem_contracts.feedback import FeedbackRequestedV1, FeedbackResult, RubricRef
from tandem_feedback.application.jobs_port import Transaction
from tandem_feedback.domain.batch import Batch, BatchDefinition, BatchState, Selection
from tandem_feedback.domain.job import JobState


@dataclass(frozen=True)
class HumanScore:
    """What one person thinks of a conversation, from 1 (poor) to 5 (excellent)."""

    conversation_id: str
    rater: str
    score: int
    comment: str
    scored_at: datetime


@dataclass(frozen=True)
class ScoredResult:
    """A stored result beside one person's score of the same conversation."""

    conversation_id: str
    rubric: RubricRef
    model: str
    model_score: int
    human_score: int


@dataclass(frozen=True)
class ComparedJob:
    """One judgement of a batch, or the stored one that a batch is compared with."""

    conversation_id: str
    state: JobState
    result: FeedbackResult | None
    detail: str


class EvaluationTransaction(Transaction, Protocol):
    """Reading and writing of batches and human scores together with jobs."""

    async def add_batch(self, batch_id: str, definition: BatchDefinition) -> Batch:
        """Return the batch, made now if it is new. Raises BatchMismatchError for another definition under a known id."""

    async def batch(self, batch_id: str) -> Batch:
        """Raises BatchNotFoundError."""

    async def batches(self, *, limit: int) -> Sequence[Batch]:
        """Return the newest batches first."""

    async def lock_feeding(self) -> Sequence[Batch]:
        """Return the batches that still feed, oldest first, kept from other processes until the transaction ends."""

    async def set_batch(self, batch_id: str, *, state: BatchState, cursor: str | None = None) -> None:
        """Store how far a batch is."""

    async def open_jobs(self, batch_id: str) -> int:
        """Count the batch's jobs without an outcome."""

    async def sources(
        self, selection: Selection, *, until: datetime, after: str, limit: int
    ) -> Sequence[FeedbackRequestedV1]:
        """Return the newest stored request of each selected conversation with an id above `after`, in order of the ids.

        Only requests received before `until` count, and none that was itself a re-run.
        """

    def compared(self, batch: Batch, variant: int | None) -> AsyncIterator[ComparedJob]:
        """Yield the batch's judgements by one variant, or without one those stored before, by conversation id."""

    async def put_human_score(self, score: HumanScore) -> HumanScore:
        """Store a person's score in place of their former one; `scored_at` becomes now."""

    async def human_scores(self, *, conversation_id: str) -> Sequence[HumanScore]:
        """Return a conversation's scores by rater."""

    def scored_results(self, *, rubric_id: str | None, version: int | None) -> AsyncIterator[ScoredResult]:
        """Yield each result beside each human score of its conversation; per rubric version and model the newest result."""


class EvaluationStore(Protocol):
    """Feedback's database, as evaluation sees it."""

    def read(self) -> AbstractAsyncContextManager[EvaluationTransaction]:
        """Open a transaction for reading."""

    def write(self) -> AbstractAsyncContextManager[EvaluationTransaction]:
        """Open a transaction that commits when the block ends, and rolls back when the block raises."""
