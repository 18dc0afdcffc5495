"""Sets a batch's two variants side by side, or its one variant beside the feedback that was stored before."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tandem_contracts.feedback import FeedbackResult
from tandem_feedback.application.evaluation_port import ComparedJob, EvaluationStore, EvaluationTransaction
from tandem_feedback.domain.agreement import Agreement, agreement
from tandem_feedback.domain.batch import Batch, Variant
from tandem_feedback.domain.job import JobState


@dataclass(frozen=True)
class Side:
    """One judgement of a conversation; `state` is None where there is none."""

    state: JobState | None
    score: int | None
    criteria: Mapping[str, int]
    summary: str
    detail: str


@dataclass(frozen=True)
class ComparedConversation:
    """Both judgements of a conversation; `difference` is second minus first."""

    conversation_id: str
    first: Side
    second: Side

    @property
    def difference(self) -> int | None:
        if self.first.score is None or self.second.score is None:
            return None
        return self.second.score - self.first.score


@dataclass(frozen=True)
class Comparison:
    """All conversations of a batch by id; the figures are about those that both sides have judged."""

    first_name: str
    second_name: str
    overall: Agreement | None
    criteria: Mapping[str, Agreement]
    conversations: Sequence[ComparedConversation]


class CompareBatch:
    """The use case of comparing."""

    def __init__(self, store: EvaluationStore) -> None:
        self._store = store

    async def compare(self, batch_id: str) -> Comparison:
        """Compare as far as the batch is. Raises BatchNotFoundError."""
        async with self._store.read() as transaction:
            batch = await transaction.batch(batch_id)
            variants = batch.definition.variants
            first = await _sides(transaction, batch, 0 if len(variants) == 2 else None)
            second = await _sides(transaction, batch, len(variants) - 1)
        names = [_name(variant) for variant in variants]
        conversations = [
            ComparedConversation(name, first.get(name, _NOTHING), second.get(name, _NOTHING))
            for name in sorted(first.keys() | second.keys())
        ]
        return Comparison(
            first_name=names[0] if len(variants) == 2 else "stored before",
            second_name=names[-1],
            overall=agreement(_pairs(conversations)),
            criteria=_by_criterion(conversations),
            conversations=conversations,
        )


_NOTHING = Side(None, None, {}, "", "")


async def _sides(transaction: EvaluationTransaction, batch: Batch, variant: int | None) -> dict[str, Side]:
    return {job.conversation_id: _side(job) async for job in transaction.compared(batch, variant)}


def _side(job: ComparedJob) -> Side:
    result: FeedbackResult | None = job.result
    if result is None:
        return Side(job.state, None, {}, "", job.detail)
    scores = {criterion.id: criterion.score for criterion in result.criteria}
    return Side(job.state, result.score, scores, result.summary, "")


def _pairs(conversations: Sequence[ComparedConversation]) -> list[tuple[int, int]]:
    return [
        (each.first.score, each.second.score)
        for each in conversations
        if each.first.score is not None and each.second.score is not None
    ]


def _by_criterion(conversations: Sequence[ComparedConversation]) -> dict[str, Agreement]:
    shared: dict[str, list[tuple[int, int]]] = {}
    for each in conversations:
        for name in each.first.criteria.keys() & each.second.criteria.keys():
            shared.setdefault(name, []).append((each.first.criteria[name], each.second.criteria[name]))
    found = {name: agreement(pairs) for name, pairs in sorted(shared.items())}
    return {name: figures for name, figures in found.items() if figures is not None}


def _name(variant: Variant) -> str:
    model = f", {variant.model}" if variant.model else ""
    return f"{variant.rubric.id} v{variant.rubric.version}{model}"
