"""Keeps what people think of conversations, and tells how far each rubric version and model agrees with them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from tandem_contracts.feedback import RubricRef
from tandem_feedback.application.evaluation_port import EvaluationStore, HumanScore
from tandem_feedback.domain.agreement import Agreement, agreement


@dataclass(frozen=True)
class AgreementWithHumans:
    """The figures of one rubric version and model; people's scores come first in them, the model's second."""

    rubric: RubricRef
    model: str
    conversations: int
    figures: Agreement


class MeasureAgreement:
    """The use cases of human scores."""

    def __init__(self, store: EvaluationStore) -> None:
        self._store = store

    async def record(self, conversation_id: str, rater: str, *, score: int, comment: str = "") -> HumanScore:
        """Store a person's score of a conversation in place of their former one."""
        new = HumanScore(conversation_id, rater, score, comment, scored_at=datetime.now(UTC))
        async with self._store.write() as transaction:
            return await transaction.put_human_score(new)

    async def scores(self, conversation_id: str) -> Sequence[HumanScore]:
        """Return a conversation's scores; none for an unknown conversation."""
        async with self._store.read() as transaction:
            return await transaction.human_scores(conversation_id=conversation_id)

    async def measure(
        self, *, rubric_id: str | None = None, version: int | None = None
    ) -> Sequence[AgreementWithHumans]:
        """Compare people's scores with the newest result of each rubric version and model, pair by pair."""
        pairs: dict[tuple[RubricRef, str], list[tuple[int, int]]] = {}
        conversations: dict[tuple[RubricRef, str], set[str]] = {}
        async with self._store.read() as transaction:
            async for found in transaction.scored_results(rubric_id=rubric_id, version=version):
                key = (found.rubric, found.model)
                pairs.setdefault(key, []).append((found.human_score, found.model_score))
                conversations.setdefault(key, set()).add(found.conversation_id)
        ordered = sorted(pairs, key=lambda key: (key[0].id, key[0].version or 0, key[1]))
        measured = [(key, agreement(pairs[key])) for key in ordered]
        return [
            AgreementWithHumans(*key, conversations=len(conversations[key]), figures=figures)
            for key, figures in measured
            if figures is not None
        ]
