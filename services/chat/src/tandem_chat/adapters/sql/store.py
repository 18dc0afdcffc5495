"""`ports.Store` on SQLAlchemy: opens transactions and turns rows into domain objects in them.

Conversations and replies are here, feedback is in `feedback_rows`; both share one session.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Select, delete, func, insert, or_, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncSession

from tandem_chat.adapters.sql.feedback_rows import FeedbackRows, owned
from tandem_chat.adapters.sql.tables import conversations, messages
from tandem_chat.adapters.sql.usage_rows import UsageRows
from tandem_chat.domain.allowance import TokenUsage
from tandem_chat.domain.conversation import Conversation, Message, MessageState, Role
from tandem_chat.domain.errors import ConversationNotFoundError, MessageNotFoundError
from tandem_chat.domain.owner import LOCAL_OWNER
from tandem_messaging.database import Database, database_now

_UNFINISHED = (MessageState.QUEUED.value, MessageState.RUNNING.value)


class SqlStore:
    """Chat's database behind `ports.Store`; with an `owner`, nothing but that owner's can be seen through it."""

    def __init__(self, database: Database, owner: str | None = None) -> None:
        self._database = database
        self._owner = owner

    def owned_by(self, owner: str) -> "SqlStore":
        return SqlStore(self._database, owner)

    @asynccontextmanager
    async def read(self) -> AsyncIterator["SqlTransaction"]:
        async with self._database.read() as session:
            yield SqlTransaction(session, self._owner)

    @asynccontextmanager
    async def write(self) -> AsyncIterator["SqlTransaction"]:
        async with self._database.write() as session:
            yield SqlTransaction(session, self._owner)


class SqlTransaction(FeedbackRows, UsageRows):
    """`ports.WriteTransaction` on one session."""

    def __init__(self, session: AsyncSession, owner: str | None = None) -> None:
        FeedbackRows.__init__(self, session, owner)
        self._session = session
        self._owner = owner

    async def now(self) -> datetime:
        return await database_now(self._session)

    async def conversation(self, conversation_id: str) -> Conversation:
        row = (
            await self._session.execute(
                _with_count().where(conversations.c.id == conversation_id, *owned(self._owner))
            )
        ).one_or_none()
        if row is None:
            raise ConversationNotFoundError(f"conversation {conversation_id}: not found")
        return _conversation(row)

    async def conversations(
        self, *, limit: int, before: tuple[datetime, str] | None
    ) -> Sequence[Conversation]:
        order = (conversations.c.updated_at, conversations.c.id)
        query = _with_count().where(*owned(self._owner)).order_by(*(column.desc() for column in order))
        query = query.limit(limit)
        if before is not None:
            query = query.where(tuple_(*order) < tuple_(*before))
        return [_conversation(row) for row in await self._session.execute(query)]

    async def lock_conversation(self, conversation_id: str) -> Conversation:
        await self._session.execute(
            select(conversations.c.id).where(conversations.c.id == conversation_id).with_for_update()
        )
        return await self.conversation(conversation_id)

    async def add_conversation(self, conversation: Conversation) -> None:
        await self._session.execute(
            insert(conversations).values(
                id=conversation.id,
                title=conversation.title,
                created_at=conversation.created_at,
                updated_at=conversation.updated_at,
                owner=self._owner or LOCAL_OWNER,
                persona=conversation.persona,
            )
        )

    async def touch_conversation(self, conversation_id: str, *, at: datetime, title: str | None) -> None:
        row = update(conversations).where(conversations.c.id == conversation_id)
        await self._session.execute(row.values(updated_at=at))
        if title:
            await self._session.execute(row.where(conversations.c.title == "").values(title=title))

    async def delete_conversation(self, conversation_id: str) -> None:
        await self._session.execute(delete(conversations).where(conversations.c.id == conversation_id))

    async def messages(self, conversation_id: str) -> Sequence[Message]:
        query = (
            select(messages)
            .join(conversations)
            .where(messages.c.conversation_id == conversation_id, *owned(self._owner))
            .order_by(messages.c.position)
        )
        return [_message(row) for row in await self._session.execute(query)]

    async def message(self, message_id: str) -> Message:
        query = select(messages).join(conversations)
        query = query.where(messages.c.id == message_id, *owned(self._owner))
        row = (await self._session.execute(query)).one_or_none()
        if row is None:
            raise MessageNotFoundError(f"message {message_id}: not found")
        return _message(row)

    async def add_message(self, message: Message) -> None:
        await self._session.execute(
            insert(messages).values(
                id=message.id,
                conversation_id=message.conversation_id,
                position=message.position,
                role=message.role.value,
                content=message.content,
                state=message.state.value,
                created_at=message.created_at,
                stop_requested=False,
            )
        )

    async def claim_reply(self, message_id: str, *, owner: str, until: datetime) -> None:
        await self._session.execute(
            update(messages)
            .where(messages.c.id == message_id)
            .values(
                content="",
                state=MessageState.QUEUED.value,
                error_code=None,
                error_detail=None,
                stop_requested=False,
                leased_by=owner,
                leased_until=until,
                prompt_tokens=None,
                completion_tokens=None,
            )
        )

    async def save_reply(
        self,
        message_id: str,
        *,
        owner: str,
        content: str,
        state: MessageState,
        until: datetime,
        error: tuple[str, str] | None = None,
        usage: TokenUsage | None = None,
    ) -> bool:
        code, detail = error or (None, None)
        tokens = {} if usage is None else vars(usage)
        held = (messages.c.id == message_id, messages.c.leased_by == owner, messages.c.state.in_(_UNFINISHED))
        saved = await self._session.execute(
            update(messages)
            .where(*held)
            .values(
                content=content,
                state=state.value,
                leased_until=until,
                error_code=code,
                error_detail=detail,
                **tokens,
            )
            .returning(messages.c.id)
        )
        return saved.first() is not None

    async def request_stop(self, message_id: str) -> None:
        await self._session.execute(
            update(messages).where(messages.c.id == message_id).values(stop_requested=True)
        )

    async def stop_requested(self, message_id: str) -> bool:
        query = select(messages.c.stop_requested).where(messages.c.id == message_id)
        requested: bool | None = (await self._session.execute(query)).scalar_one_or_none()
        return requested is None or requested

    async def interrupt_abandoned(self) -> Sequence[str]:
        now = await self.now()
        lapsed = or_(messages.c.leased_until.is_(None), messages.c.leased_until < now)
        abandoned = await self._session.execute(
            update(messages)
            .where(messages.c.state.in_(_UNFINISHED), lapsed)
            .values(
                state=MessageState.INTERRUPTED.value,
                error_code="chat_restarted",
                error_detail="The reply was cut off because chat restarted. The text so far is kept; try again.",
            )
            .returning(
                messages.c.id,
                messages.c.conversation_id,
                messages.c.prompt_tokens,
                messages.c.completion_tokens,
            )
        )
        rows = abandoned.all()
        for row in rows:
            if row.prompt_tokens is not None:
                used = TokenUsage(row.prompt_tokens, row.completion_tokens)
                await self.add_usage(await self._owner_of(row.conversation_id), used)
        return [row.id for row in rows]

    async def _owner_of(self, conversation_id: str) -> str:
        query = select(conversations.c.owner).where(conversations.c.id == conversation_id)
        return str((await self._session.execute(query)).scalar_one())


def _with_count() -> Select[Any]:
    count = (
        select(func.count())
        .where(messages.c.conversation_id == conversations.c.id)
        .correlate(conversations)
        .scalar_subquery()
    )
    return select(conversations, count.label("message_count"))


def _conversation(row: Row[Any]) -> Conversation:
    return Conversation(
        id=row.id,
        title=row.title,
        created_at=row.created_at,
        updated_at=row.updated_at,
        message_count=row.message_count,
        persona=row.persona,
    )


def _message(row: Row[Any]) -> Message:
    return Message(
        id=row.id,
        conversation_id=row.conversation_id,
        position=row.position,
        role=Role(row.role),
        content=row.content,
        state=MessageState(row.state),
        created_at=row.created_at,
        error_code=row.error_code,
        error_detail=row.error_detail,
    )
