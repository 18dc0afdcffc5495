"""The use cases of evaluation together, as the HTTP face and the command line take them."""

from dataclasses import dataclass
from typing import Self

from tandem_feedback.application.compare_batch import CompareBatch
from tandem_feedback.application.evaluation_port import EvaluationStore
from tandem_feedback.application.measure_agreement import MeasureAgreement
from tandem_feedback.application.run_batches import RunBatches
from tandem_feedback.domain.rubric import Rubrics


@dataclass(frozen=True)
class Evaluation:
    """What may be asked about the feedback itself."""

    rubrics: Rubrics
    batches: RunBatches
    comparison: CompareBatch
    agreement: MeasureAgreement

    @classmethod
    def of(cls, store: EvaluationStore, rubrics: Rubrics) -> Self:
        """Build every use case over `store`."""
        return cls(rubrics, RunBatches(store, rubrics), CompareBatch(store), MeasureAgreement(store))
