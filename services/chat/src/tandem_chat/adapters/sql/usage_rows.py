"""The half of chat's transaction that counts: replies begun, replies being written, and tokens of each owner and day."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, func, insert, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession

from tandem_chat.adapters.sql.tables import conversations, messages, reply_starts, usage
from tandem_chat.domain.allowance import MINUTE, Activity, DayOfUsage, TokenUsage
from tandem_chat.domain.conversation import MessageState
from tandem_messaging.database import database_now

_UNFINISHED = (MessageState.QUEUED.value, MessageState.RUNNING.value)


class UsageRows:
    """The part of `ports.WriteTransaction` that is about limits and usage."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def activity(self, owner: str) -> Activity:
        now = await database_now(self._session)
        recent = (reply_starts.c.owner == owner, reply_starts.c.started_at > now - MINUTE)
        started = select(reply_starts.c.started_at).where(*recent).order_by(reply_starts.c.started_at)
        writing = select(func.count()).select_from(messages.join(conversations))
        writing = writing.where(conversations.c.owner == owner, messages.c.state.in_(_UNFINISHED))
        today = select(usage.c.prompt_tokens + usage.c.completion_tokens)
        today = today.where(usage.c.owner == owner, usage.c.day == _day(now))
        return Activity(
            now=now,
            started=tuple((await self._session.execute(started)).scalars()),
            writing=(await self._session.execute(writing)).scalar_one(),
            tokens_today=(await self._session.execute(today)).scalar_one_or_none() or 0,
        )

    async def usage(self, owner: str, *, days: int) -> Sequence[DayOfUsage]:
        first = _day(await database_now(self._session) - timedelta(days=days - 1))
        query = select(usage).where(usage.c.owner == owner, usage.c.day >= first).order_by(usage.c.day.desc())
        return [
            DayOfUsage(row.day, row.replies, row.prompt_tokens, row.completion_tokens)
            for row in await self._session.execute(query)
        ]

    async def note_start(self, owner: str) -> None:
        now = await database_now(self._session)
        await self._session.execute(insert(reply_starts).values(owner=owner, started_at=now))

    async def add_usage(self, owner: str, used: TokenUsage) -> None:
        more = {
            "prompt_tokens": used.prompt_tokens,
            "completion_tokens": used.completion_tokens,
            "replies": 1,
        }
        row = {"owner": owner, "day": _day(await database_now(self._session)), **more}
        statement = self._upsert().values(**row)
        added = {name: usage.c[name] + statement.excluded[name] for name in more}
        await self._session.execute(
            statement.on_conflict_do_update(index_elements=[usage.c.owner, usage.c.day], set_=added)
        )

    async def forget_starts(self, *, older_than: timedelta) -> None:
        before = await database_now(self._session) - older_than
        await self._session.execute(delete(reply_starts).where(reply_starts.c.started_at < before))

    def _upsert(self) -> Any:
        dialect = self._session.get_bind().dialect.name
        return (postgresql if dialect == "postgresql" else sqlite).insert(usage)


def _day(moment: datetime) -> str:
    return moment.date().isoformat()
