"""Routes of dead letters: list, read, mend, replay, purge."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Self

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from tandem_contracts.feedback.v1 import Identifier
from tandem_feedback.domain.dead_letter import DeadLetter, LetterFilter, LetterState
from tandem_feedback.domain.errors import DeadLetterNotFoundError, RequestTooLargeError
from tandem_feedback.entrypoints.http.cursor import decode_cursor, encode_cursor
from tandem_feedback.entrypoints.http.dependencies import GUARDED, WorkerDep
from tandem_feedback.entrypoints.http.documentation import problems
from tandem_feedback.entrypoints.http.json_body import documented, json_body

router = APIRouter(
    prefix="/v1/dead-letters", tags=["dead letters"], dependencies=GUARDED, responses=problems()
)
# As Pub/Sub bounds them: a letter that was mended has to be taken by it again.
_Name = Annotated[str, StringConstraints(pattern=r"^[!-~]{1,256}$")]
_Text = Annotated[str, StringConstraints(pattern=r"^[^\x00]*$", max_length=1024)]


class _Input(BaseModel):
    model_config = ConfigDict(extra="forbid")


class LetterBody(BaseModel):
    """A dead letter: what came, why it could not be served, and what became of it."""

    id: str
    state: LetterState
    code: str = Field(description="The reason as a word to filter by.")
    reason: str
    attempts: int
    origin: str
    request_id: str | None
    died_at: datetime
    replays: int
    replayed_at: datetime | None
    edited_at: datetime | None
    attributes: dict[str, str]
    data: str = Field(description="The message's data as text; bytes that are none are shown as \\ufffd.")
    data_is_text: bool

    @classmethod
    def of(cls, letter: DeadLetter) -> Self:
        """Show `letter`."""
        text = letter.data.decode(errors="replace")
        fields = {name: getattr(letter, name) for name in cls.model_fields if hasattr(letter, name)}
        return cls(**fields | {"data": text, "data_is_text": text.encode() == letter.data})


class LetterPage(BaseModel):
    """A page of dead letters, the latest death first."""

    items: list[LetterBody]
    next_cursor: str | None = Field(description="Pass as `cursor` for the next page; null at the end.")


class LetterEdit(_Input):
    """What to change of a dead letter."""

    data: str | None = Field(default=None, max_length=1_000_000)
    attributes: dict[_Name, _Text] | None = Field(default=None, max_length=90)


class ReplayAll(_Input):
    """Which dead letters to send again."""

    code: Identifier | None = Field(default=None, description="Only those of this reason.")
    again: bool = Field(
        default=False, description="Also those that were replayed before, and died once more."
    )


class PurgeAll(_Input):
    """Which dead letters to delete."""

    code: Identifier | None = Field(default=None, description="Only those of this reason.")
    state: LetterState | None = None
    older_than_days: float = Field(default=0, ge=0, le=36_500)


class Count(BaseModel):
    """How many dead letters it were."""

    letters: int


@router.get("")
async def list_dead_letters(
    worker: WorkerDep,
    *,
    code: Identifier | None = None,
    state: LetterState | None = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    cursor: Annotated[str | None, Query(max_length=500)] = None,
) -> LetterPage:
    """List dead letters, the latest death first."""
    wanted = LetterFilter(code, state)
    found, following = await worker.dead_letters.page(wanted, limit=limit, before=decode_cursor(cursor))
    return LetterPage(items=[LetterBody.of(letter) for letter in found], next_cursor=encode_cursor(following))


@router.post("/replay", status_code=202, openapi_extra=documented(ReplayAll, required=False))
async def replay_dead_letters(
    worker: WorkerDep, body: Annotated[ReplayAll, Depends(json_body(ReplayAll, optional=True))]
) -> Count:
    """Send many again. Those that died again after a replay are left out, unless `again` asks for them."""
    return Count(letters=await worker.dead_letters.replay_all(body.code, again=body.again))


@router.post("/purge", openapi_extra=documented(PurgeAll))
async def purge_dead_letters(
    worker: WorkerDep, body: Annotated[PurgeAll, Depends(json_body(PurgeAll))]
) -> Count:
    """Delete many for good."""
    died_before = datetime.now(UTC) - timedelta(days=body.older_than_days)
    wanted = LetterFilter(body.code, body.state, died_before)
    return Count(letters=await worker.dead_letters.purge_all(wanted))


@router.get("/{letter_id}", responses=problems(DeadLetterNotFoundError))
async def read_dead_letter(worker: WorkerDep, letter_id: Identifier) -> LetterBody:
    """Read one dead letter."""
    return LetterBody.of(await worker.dead_letters.one(letter_id))


@router.patch(
    "/{letter_id}",
    responses=problems(DeadLetterNotFoundError, RequestTooLargeError),
    openapi_extra=documented(LetterEdit),
)
async def edit_dead_letter(
    worker: WorkerDep, letter_id: Identifier, body: Annotated[LetterEdit, Depends(json_body(LetterEdit))]
) -> LetterBody:
    """Mend a dead letter before it is replayed. A request that is changed needs a `request_id` of its own."""
    data = None if body.data is None else body.data.encode()
    attributes: Mapping[str, str] | None = body.attributes
    return LetterBody.of(await worker.dead_letters.edit(letter_id, data=data, attributes=attributes))


@router.post("/{letter_id}/replay", status_code=202, responses=problems(DeadLetterNotFoundError))
async def replay_dead_letter(worker: WorkerDep, letter_id: Identifier) -> LetterBody:
    """Send one again, whatever became of it before."""
    return LetterBody.of(await worker.dead_letters.replay_one(letter_id))


@router.delete("/{letter_id}", status_code=204, responses=problems(DeadLetterNotFoundError))
async def purge_dead_letter(worker: WorkerDep, letter_id: Identifier) -> None:
    """Delete one for good."""
    await worker.dead_letters.purge_one(letter_id)
