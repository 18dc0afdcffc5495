"""Builds chat's use cases around an engine that a test plays itself, on a SQLite file of its own."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

import pytest
from sqlalchemy.ext.asyncio import create_async_engine

from tandem_chat.adapters.sql.store import SqlStore, SqlTransaction
from tandem_chat.adapters.sql.tables import metadata, outbox
from tandem_chat.application.conversations import Conversations
from tandem_chat.application.follow_feedback import FollowFeedback
from tandem_chat.application.follow_reply import FollowReply
from tandem_chat.application.ports import ReplyPiece, TokenCount
from tandem_chat.application.post_message import PostMessage
from tandem_chat.application.request_feedback import RequestFeedback
from tandem_chat.application.run_replies import ReplyLimits, ReplyRunner
from tandem_chat.domain.conversation import Message
from tandem_chat.domain.persona import DEFAULT_PERSONA, Persona, Personas, Sampling
from tandem_chat.domain.prompt import PromptMessage
from tandem_messaging.database import Database, database_now
from tandem_messaging.outbox import OutboxRow, claim_due

MARKUP_TOKENS_PER_MESSAGE = 4


class PlayedEngine:
    """`ports.Engine` played by the test: `say`, then `finish` or `fail`. A token is a word, plus markup per message."""

    def __init__(self, window_tokens: int = 10_000) -> None:
        self.window_tokens = window_tokens
        self.asked: list[list[PromptMessage]] = []
        self.asked_how: list[tuple[str | None, Sampling | None]] = []
        self.max_tokens: list[int] = []
        self.open_streams = 0
        self.refusals: list[Exception] = []  # raised one after the other instead of beginning to answer
        self.while_counting: Callable[[], None] | None = None
        self._said: asyncio.Queue[ReplyPiece | Exception | None] = asyncio.Queue()

    def say(self, *texts: str) -> None:
        for text in texts:
            self._said.put_nowait(ReplyPiece(text))

    def finish(self) -> None:
        self._said.put_nowait(ReplyPiece("", "stop"))
        self._said.put_nowait(None)

    def fail(self, error: Exception) -> None:
        self._said.put_nowait(error)

    async def count_tokens(
        self, messages: Sequence[PromptMessage], *, model: str | None = None
    ) -> TokenCount:
        words = sum(len(message.content.split()) + MARKUP_TOKENS_PER_MESSAGE for message in messages)
        return TokenCount(words, self.window_tokens)

    @asynccontextmanager
    async def stream_reply(
        self,
        messages: Sequence[PromptMessage],
        *,
        max_tokens: int,
        model: str | None = None,
        sampling: Sampling | None = None,
    ) -> AsyncIterator[AsyncIterator[ReplyPiece]]:
        self.asked.append(list(messages))
        self.asked_how.append((model, sampling))
        self.max_tokens.append(max_tokens)
        if self.refusals:
            raise self.refusals.pop(0)
        self.open_streams += 1
        try:
            yield self._pieces()
        finally:
            self.open_streams -= 1

    async def require_ready(self) -> None:
        return

    async def _pieces(self) -> AsyncIterator[ReplyPiece]:
        while (said := await self._said.get()) is not None:
            if isinstance(said, Exception):
                raise said
            yield said


class WatchedStore(SqlStore):
    """Counts the transactions that write, and fails as many of the next ones as it is told."""

    writes = 0
    failures = 0

    @asynccontextmanager
    async def write(self) -> AsyncIterator[SqlTransaction]:
        self.writes += 1
        if self.failures:
            self.failures -= 1
            raise OSError("the database went away")
        async with super().write() as transaction:
            yield transaction


@dataclass
class Chat:
    """Chat without its HTTP face: what one process would hold. Two on one database are two replicas."""

    store: WatchedStore
    engine: PlayedEngine
    runner: ReplyRunner
    conversations: Conversations
    posting: PostMessage
    replies: FollowReply
    requesting: RequestFeedback
    feedback: FollowFeedback

    @classmethod
    def on(
        cls, database: Database, limits: ReplyLimits | None = None, personas: Sequence[Persona] = ()
    ) -> "Chat":
        store = WatchedStore(database)
        engine = PlayedEngine()
        plain = Persona(DEFAULT_PERSONA, "Assistant")
        known = Personas({persona.name: persona for persona in (plain, *personas)})
        runner = ReplyRunner(store, engine, limits or ReplyLimits(max_tokens=100, save_every_seconds=0.02))
        return cls(
            store,
            engine,
            runner,
            Conversations(store, runner, known),
            PostMessage(store, engine, runner, known),
            FollowReply(store, runner),
            RequestFeedback(store, reannounce_after=timedelta(seconds=60), on_committed=lambda: None),
            FollowFeedback(store),
        )

    async def ask(self, content: str = "Hello?", conversation_id: str | None = None) -> Message:
        """Post a message, to a new conversation unless one is named, and return the reply that was begun."""
        if conversation_id is None:
            conversation_id = (await self.conversations.create("")).id
        _, reply = await self.posting.post(conversation_id, content)
        return reply

    async def answered(self, text: str, conversation_id: str | None = None) -> Message:
        """Ask, let the engine answer `text`, and return the stored reply."""
        reply = await self.ask(conversation_id=conversation_id)
        self.engine.say(text)
        self.engine.finish()
        return await self.ended(reply)

    async def ended(self, reply: Message) -> Message:
        """Return the reply as stored once nobody writes it any more."""
        await eventually(lambda: self.runner.live(reply.id) is None, "the reply to end")
        return await self.replies.read(reply.id)

    async def heard(self, reply: Message, text: str) -> None:
        """Wait until the reply's readers would see exactly `text`."""

        def said() -> bool:
            live = self.runner.live(reply.id)
            return live is not None and live.text == text

        await eventually(said, f"the reply to reach {text!r}")


async def eventually(look: Callable[[], object], what: str, *, seconds: float = 30.0) -> None:
    """Wait, with a deadline, until `look` is true; leaves the event loop to the code under test."""
    clock = asyncio.get_running_loop().time
    deadline = clock() + seconds
    while not look():
        if clock() > deadline:
            pytest.fail(f"waited {seconds:.0f} s in vain for {what}", pytrace=False)
        await asyncio.sleep(0.005)


async def outbox_rows(database: Database) -> list[OutboxRow]:
    """Take all that waits to be published, as the relay would."""
    async with database.write() as session:
        now = await database_now(session)
        until = now + timedelta(minutes=1)
        return await claim_due(session, outbox, owner="test", now=now, until=until, limit=100)


async def create_tables(url: str) -> None:
    """Create chat's tables as `tables.py` has them; that the migrations make the same is a test of its own."""
    engine = create_async_engine(url)
    async with engine.begin() as connection:
        await connection.run_sync(metadata.create_all)
    await engine.dispose()
