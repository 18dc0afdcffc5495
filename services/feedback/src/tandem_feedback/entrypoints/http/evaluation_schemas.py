"""Bodies of re-runs, comparisons, human scores and rubrics on the HTTP face."""

from datetime import datetime
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from tandem_contracts.feedback import RubricRef
from tandem_contracts.feedback.v1 import Identifier
from tandem_feedback.application.compare_batch import ComparedConversation, Comparison
from tandem_feedback.application.evaluation_port import HumanScore
from tandem_feedback.application.measure_agreement import AgreementWithHumans
from tandem_feedback.application.run_batches import BatchStatus
from tandem_feedback.domain.batch import BatchDefinition, BatchState
from tandem_feedback.domain.rubric import HIGHEST_SCORE, LOWEST_SCORE, LongTranscripts, Rubric
from tandem_feedback.entrypoints.http.schemas import ProgressBody

_NO_NUL = r"^[^\x00]*$"


class NewBatch(BatchDefinition):
    """Stored conversations to be judged again."""

    id: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")] | None = Field(
        default=None, description="Choose one, and sending again is harmless."
    )

    @property
    def definition(self) -> BatchDefinition:
        return BatchDefinition.model_validate(self.model_dump(exclude={"id"}))


class BatchBody(BaseModel):
    """A batch: what is run over what, and how far it is."""

    id: str
    state: BatchState = Field(description="`feeding` while conversations still wait to go to the queue.")
    created_at: datetime
    definition: BatchDefinition
    progress: ProgressBody

    @classmethod
    def of(cls, status: BatchStatus) -> Self:
        """Show `status`."""
        batch = status.batch
        return cls(
            id=batch.id,
            state=batch.state,
            created_at=batch.created_at,
            definition=batch.definition,
            progress=ProgressBody.of(status.progress),
        )


class BatchList(BaseModel):
    """The newest batches, newest first."""

    items: list[BatchBody]


class AgreementBody(BaseModel):
    """How two raters agree; `difference` is second minus first, shares go from 0 to 1."""

    model_config = ConfigDict(from_attributes=True)

    count: int = Field(description="Pairs of scores.")
    mean_first: float
    mean_second: float
    mean_difference: float
    exact_share: float
    within_one_share: float
    kappa: float | None = Field(
        description="Cohen's kappa with quadratic weights; null where it is not defined, because nothing varies."
    )


class SideBody(BaseModel):
    """One judgement of a conversation; without one all is null or empty."""

    model_config = ConfigDict(from_attributes=True)

    state: str | None
    score: int | None
    criteria: dict[str, int]
    summary: str
    detail: str = Field(description="Why there is no result, for one that failed.")


class ComparedConversationBody(BaseModel):
    """A conversation judged by both sides."""

    model_config = ConfigDict(from_attributes=True)

    conversation_id: str
    difference: int | None
    first: SideBody
    second: SideBody

    @classmethod
    def of(cls, compared: ComparedConversation) -> Self:
        """Show `compared`."""
        return cls.model_validate(compared)


class ComparisonBody(BaseModel):
    """Two sides of a batch; the figures are over all of it, the conversations a page by id."""

    first: str
    second: str
    overall: AgreementBody | None
    criteria: dict[str, AgreementBody]
    conversations: list[ComparedConversationBody]
    next_after: str | None = Field(description="Pass as `after` for the next page; null at the end.")

    @classmethod
    def of(cls, comparison: Comparison, *, after: str, limit: int) -> Self:
        """Show the page of `comparison` behind conversation `after`."""
        rest = [each for each in comparison.conversations if each.conversation_id > after]
        overall = comparison.overall
        return cls(
            first=comparison.first_name,
            second=comparison.second_name,
            overall=AgreementBody.model_validate(overall) if overall else None,
            criteria={name: AgreementBody.model_validate(one) for name, one in comparison.criteria.items()},
            conversations=[ComparedConversationBody.of(each) for each in rest[:limit]],
            next_after=rest[limit - 1].conversation_id if len(rest) > limit else None,
        )


class NewHumanScore(BaseModel):
    """What a person thinks of a conversation; it takes the place of that person's former score."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    conversation_id: Identifier
    rater: Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=_NO_NUL)] = Field(
        description="Who scores, by any name that stays the same."
    )
    score: int = Field(ge=LOWEST_SCORE, le=HIGHEST_SCORE, description="1 poor, 5 excellent.")
    comment: Annotated[str, StringConstraints(max_length=2000, pattern=_NO_NUL)] = ""


class HumanScoreBody(BaseModel):
    """A stored human score."""

    model_config = ConfigDict(from_attributes=True)

    conversation_id: str
    rater: str
    score: int
    comment: str
    scored_at: datetime

    @classmethod
    def of(cls, score: HumanScore) -> Self:
        """Show `score`."""
        return cls.model_validate(score)


class HumanScoreList(BaseModel):
    """A conversation's human scores by rater."""

    items: list[HumanScoreBody]


class AgreementWithHumansBody(BaseModel):
    """How one rubric version and model agree with people: first the people's scores, second the model's."""

    model_config = ConfigDict(from_attributes=True)

    rubric: RubricRef
    model: str
    conversations: int
    figures: AgreementBody

    @classmethod
    def of(cls, measured: AgreementWithHumans) -> Self:
        """Show `measured`."""
        return cls.model_validate(measured)


class AgreementList(BaseModel):
    """Agreement with people by rubric, version and model."""

    items: list[AgreementWithHumansBody]


class CriterionBody(BaseModel):
    """A criterion of a rubric; those that are judged as a whole have a description only."""

    id: str | None = None
    title: str | None = None
    description: str
    scale: dict[int, str] = {}
    weight: float = 1.0


class RubricBody(BaseModel):
    """A rubric that requests may name."""

    id: str
    version: int
    title: str
    language: str | None
    long_transcripts: LongTranscripts
    instructions: str
    criteria: list[CriterionBody]

    @classmethod
    def of(cls, rubric: Rubric) -> Self:
        """Show `rubric`."""
        plain = [CriterionBody(description=text) for text in rubric.criteria]
        scored = [
            CriterionBody.model_validate(criterion, from_attributes=True)
            for criterion in rubric.scored_criteria
        ]
        return cls(
            id=rubric.id,
            version=rubric.version,
            title=rubric.title,
            language=rubric.language,
            long_transcripts=rubric.long_transcripts,
            instructions=rubric.instructions,
            criteria=plain + scored,
        )


class RubricList(BaseModel):
    """Every version of every rubric."""

    items: list[RubricBody]
