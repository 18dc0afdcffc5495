"""`application.dead_letters.DeadLetterBox` on SQLAlchemy; what is replayed goes out through the outbox."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import uuid4

from sqlalchemy import ColumnElement, Row, delete, select, true, tuple_, update
from sqlalchemy.ext.asyncio import AsyncSession

from tandem_contracts import topics
from tandem_feedback.adapters.dead_letters import REPLAY_OF, REPLAYS
from tandem_feedback.adapters.sql.inserting import insert_if_new
from tandem_feedback.adapters.sql.store import SqlTransaction
from tandem_feedback.adapters.sql.tables import dead_letters, outbox
from tandem_feedback.domain.dead_letter import DeadLetter, Death, LetterFilter, LetterState
from tandem_feedback.domain.errors import DeadLetterNotFoundError, TooManyAttemptsError
from tandem_messaging.database import Database, database_now
from tandem_messaging.outbox import enqueue_message
from tandem_messaging.ports import OutgoingMessage


class SqlDeadLetterBox:
    """Dead letters in feedback's database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def keep(self, death: Death) -> DeadLetter | None:
        async with self._database.write() as session:
            now = await database_now(session)
            if await _is_known(session, death.key):
                return None
            if death.replay_of is not None:
                marked = await session.execute(
                    update(dead_letters)
                    .where(dead_letters.c.id == death.replay_of)
                    .values(**_told(death, now), state=LetterState.DIED_AGAIN.value)
                    .returning(dead_letters)
                )
                if row := marked.first():
                    return _letter(row)
            values = _told(death, now) | {
                "id": uuid4().hex,
                "state": LetterState.DEAD.value,
                "data": death.data,
                "attributes": json.dumps(dict(death.attributes)),
                "replays": 0,
            }
            if not await insert_if_new(session, dead_letters, dead_letters.c.death, values):
                return None
            return _letter(await _row(session, values["id"]))

    async def one(self, letter_id: str) -> DeadLetter:
        async with self._database.read() as session:
            return _letter(await _row(session, letter_id))

    async def some(
        self, wanted: LetterFilter, *, limit: int, before: tuple[datetime, str] | None = None
    ) -> Sequence[DeadLetter]:
        query = (
            select(dead_letters)
            .where(_meant(wanted))
            .order_by(dead_letters.c.died_at.desc(), dead_letters.c.id.desc())
            .limit(limit)
        )
        if before is not None:
            query = query.where(tuple_(dead_letters.c.died_at, dead_letters.c.id) < tuple_(*before))
        async with self._database.read() as session:
            return [_letter(row) for row in await session.execute(query)]

    async def edit(
        self, letter_id: str, *, data: bytes | None, attributes: Mapping[str, str] | None
    ) -> DeadLetter:
        async with self._database.write() as session:
            values: dict[str, Any] = {"edited_at": await database_now(session)}
            if data is not None:
                values["data"] = data
            if attributes is not None:
                values["attributes"] = json.dumps(dict(attributes))
            await session.execute(update(dead_letters).where(dead_letters.c.id == letter_id).values(**values))
            return _letter(await _row(session, letter_id))

    async def replay(self, letter_ids: Sequence[str]) -> Sequence[str]:
        query = select(dead_letters).where(dead_letters.c.id.in_(letter_ids)).with_for_update()
        async with self._database.write() as session:
            letters = [_letter(row) for row in await session.execute(query)]
            for letter in letters:
                await self._send_again(session, letter)
        return [letter.id for letter in letters]

    async def _send_again(self, session: AsyncSession, letter: DeadLetter) -> None:
        marks = {REPLAY_OF: letter.id, REPLAYS: str(letter.replays + 1)}
        message = OutgoingMessage(
            letter.data, {**letter.attributes, **marks}, letter.attributes.get("ce-subject", "")[:128]
        )
        request_id = letter.request_id or ""
        await enqueue_message(session, outbox, topics.FEEDBACK_REQUESTS, message, request_id=request_id)
        if letter.code == TooManyAttemptsError.code and letter.request_id and not letter.edited_at:
            await SqlTransaction(session).reopen(letter.request_id)
        await session.execute(
            update(dead_letters)
            .where(dead_letters.c.id == letter.id)
            .values(
                state=LetterState.REPLAYED.value,
                replays=letter.replays + 1,
                replayed_at=await database_now(session),
            )
        )

    async def purge(self, wanted: LetterFilter, letter_ids: Sequence[str] | None = None) -> int:
        statement = delete(dead_letters).where(_meant(wanted))
        if letter_ids is not None:
            statement = statement.where(dead_letters.c.id.in_(letter_ids))
        async with self._database.write() as session:
            return len((await session.execute(statement.returning(dead_letters.c.id))).all())


def _told(death: Death, now: datetime) -> dict[str, Any]:
    return {
        "death": death.key,
        "code": death.code,
        "reason": death.reason.replace("\x00", ""),
        "attempts": death.attempts,
        "origin": death.origin.replace("\x00", ""),
        "request_id": death.request_id,
        "died_at": min(death.died_at, now) if death.died_at else now,
    }


def _meant(wanted: LetterFilter) -> ColumnElement[bool]:
    condition: ColumnElement[bool] = true()
    if wanted.code is not None:
        condition &= dead_letters.c.code == wanted.code
    if wanted.state is not None:
        condition &= dead_letters.c.state == wanted.state.value
    if wanted.died_before is not None:
        condition &= dead_letters.c.died_at <= wanted.died_before
    return condition


async def _is_known(session: AsyncSession, death: str) -> bool:
    query = select(dead_letters.c.id).where(dead_letters.c.death == death)
    return (await session.execute(query)).first() is not None


async def _row(session: AsyncSession, letter_id: str) -> Row[Any]:
    row = (await session.execute(select(dead_letters).where(dead_letters.c.id == letter_id))).one_or_none()
    if row is None:
        raise DeadLetterNotFoundError(f"dead letter {letter_id}: not found; it may have been purged")
    return row


def _letter(row: Row[Any]) -> DeadLetter:
    return DeadLetter(
        id=row.id,
        state=LetterState(row.state),
        code=row.code,
        reason=row.reason,
        attempts=row.attempts,
        origin=row.origin,
        request_id=row.request_id,
        data=row.data,
        attributes=json.loads(row.attributes),
        died_at=row.died_at,
        replays=row.replays,
        replayed_at=row.replayed_at,
        edited_at=row.edited_at,
    )
