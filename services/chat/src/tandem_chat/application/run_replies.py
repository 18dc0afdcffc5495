"""Writes replies in tasks of their own, which outlive the request that asked for them.

Text goes to readers at once and to the database in batches; a lease on the row tells other processes that somebody writes.
"""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import uuid4

from opentelemetry import metrics, trace

from tandem_chat.application.live_reply import LiveReply
from tandem_chat.application.ports import Engine, Store
from tandem_chat.domain.allowance import TokenUsage
from tandem_chat.domain.conversation import Message, MessageState
from tandem_chat.domain.errors import EngineBrokeOffError, EngineNotReadyError
from tandem_chat.domain.owner import LOCAL_OWNER
from tandem_chat.domain.persona import Persona
from tandem_chat.domain.prompt import PromptMessage
from tandem_messaging.errors import PermanentError, TransientError
from tandem_telemetry import names

logger = logging.getLogger(__name__)
_tracer = trace.get_tracer(__name__)
_meter = metrics.get_meter(__name__)
_replies = _meter.create_counter(names.CHAT_REPLIES, "{reply}", "Replies by final state")
_first_token = _meter.create_histogram(names.CHAT_TIME_TO_FIRST_TOKEN, "s", "From accepted to first text")

_STOP_POLL_SECONDS = 1.0
_RESUME_SECONDS = 1.0


@dataclass(frozen=True)
class ReplyLimits:
    """Bounds of one reply. Times in seconds."""

    max_tokens: int
    save_every_seconds: float = 0.25
    lease_seconds: float = 15.0
    wait_for_engine_seconds: float = 60.0


@dataclass
class _Run:
    live: LiveReply
    persona: Persona
    owner: str
    writing: asyncio.Task[MessageState] = field(init=False)  # may be cancelled at any time
    task: asyncio.Task[None] = field(init=False)  # never cancelled: it stores how the writing ended
    stopped: bool = False
    saved_chars: int = 0
    error: tuple[str, str] | None = None
    usage: TokenUsage | None = None


class ReplyRunner:
    """Runs every reply of this process. `owner` names the process in the rows that it writes."""

    def __init__(self, store: Store, engine: Engine, limits: ReplyLimits) -> None:
        self._store = store
        self._engine = engine
        self._limits = limits
        self._runs: dict[str, _Run] = {}
        self.owner = uuid4().hex

    @property
    def max_tokens(self) -> int:
        """The room that a reply may take in the model's window."""
        return self._limits.max_tokens

    def lease(self) -> timedelta:
        """How long a reply's row stays taken after each save."""
        return timedelta(seconds=self._limits.lease_seconds)

    def start(
        self,
        reply: Message,
        prompt: Sequence[PromptMessage],
        persona: Persona,
        *,
        max_tokens: int,
        owner: str = LOCAL_OWNER,
    ) -> None:
        """Begin to write `reply`, whose row this process has claimed and committed; its tokens are `owner`'s."""
        run = _Run(LiveReply(), persona, owner)
        self._runs[reply.id] = run
        run.writing = asyncio.create_task(self._write(reply, prompt, max_tokens, run))
        run.task = asyncio.create_task(self._run(reply, run), name=f"reply-{reply.id}")

    def live(self, message_id: str) -> LiveReply | None:
        """Return the text in progress, if this process writes it."""
        run = self._runs.get(message_id)
        return run.live if run else None

    def stop(self, message_id: str) -> None:
        """End a reply of this process as stopped; does nothing for one that is not running here."""
        run = self._runs.get(message_id)
        if run is not None and not run.stopped:
            run.stopped = True
            run.writing.cancel()

    async def close(self) -> None:
        """End every reply as interrupted, with its text stored."""
        runs = list(self._runs.values())
        for run in runs:
            run.writing.cancel()
        if runs:
            await asyncio.wait([run.task for run in runs])

    async def _run(self, reply: Message, run: _Run) -> None:
        saver = asyncio.create_task(self._keep_saved(reply, run))
        await asyncio.wait([run.writing, saver])
        if run.writing.cancelled() and run.stopped:
            state = MessageState.STOPPED
        elif run.writing.cancelled():
            state = MessageState.INTERRUPTED
            run.error = ("chat_restarted", "The reply was cut off because chat stopped. Try again.")
        elif crash := run.writing.exception():
            logger.error("reply.crashed", exc_info=crash, extra={"reply_id": reply.id})
            state = MessageState.FAILED
            run.error = ("internal_error", "The reply failed inside chat. The log tells why; try again.")
        else:
            state = run.writing.result()
        await self._end(reply, run, state)

    async def _write(
        self, reply: Message, prompt: Sequence[PromptMessage], max_tokens: int, run: _Run
    ) -> MessageState:
        with _tracer.start_as_current_span("write reply", attributes={names.REPLY_ID: reply.id}):
            return await self._take_from_engine(prompt, max_tokens, run)

    async def _take_from_engine(
        self, prompt: Sequence[PromptMessage], max_tokens: int, run: _Run
    ) -> MessageState:
        started = asyncio.get_running_loop().time()
        while True:
            try:
                model, sampling = run.persona.model, run.persona.sampling
                async with self._engine.stream_reply(
                    prompt, max_tokens=max_tokens, model=model, sampling=sampling
                ) as pieces:
                    async for piece in pieces:
                        if piece.text and not run.live.text:
                            _first_token.record(asyncio.get_running_loop().time() - started)
                        run.live.append(piece.text)
                        run.usage = piece.usage or run.usage
            except EngineNotReadyError as error:
                waited = asyncio.get_running_loop().time() - started
                pause = error.retry_after or _RESUME_SECONDS
                if waited + pause > self._limits.wait_for_engine_seconds:
                    run.error = (
                        "engine_not_ready",
                        f"The engine took no request for {waited:.0f} s: {error}",
                    )
                    return MessageState.FAILED
                await asyncio.sleep(pause)
            except EngineBrokeOffError as error:
                run.error = (
                    "engine_broke_off",
                    f"The answer broke off: {error}. The text so far is kept; try again.",
                )
                return MessageState.FAILED
            except (PermanentError, TransientError) as error:
                run.error = ("engine_refused", str(error))
                return MessageState.FAILED
            else:
                return MessageState.COMPLETED

    async def _keep_saved(self, reply: Message, run: _Run) -> None:
        """Store new text every so often, keep the lease, and notice a stop asked for in another process."""
        loop = asyncio.get_running_loop()
        last_look = loop.time()
        while True:
            ended, _ = await asyncio.wait([run.writing], timeout=self._limits.save_every_seconds)
            if ended:
                return
            looking = loop.time() - last_look > _STOP_POLL_SECONDS
            if len(run.live.text) == run.saved_chars and not looking:
                continue
            last_look = loop.time()
            try:
                held = await self._save(reply, run, run.live.state)
                async with self._store.read() as transaction:
                    stop = not held or await transaction.stop_requested(reply.id)
            except Exception:
                logger.exception("reply.save_failed", extra={"reply_id": reply.id})
                continue
            if stop:
                self.stop(reply.id)
                return

    async def _save(self, reply: Message, run: _Run, state: MessageState) -> bool:
        text = run.live.text
        async with self._store.write() as transaction:
            now = await transaction.now()
            held = await transaction.save_reply(
                reply.id,
                owner=self.owner,
                content=text,
                state=state,
                until=now + self.lease(),
                error=run.error,
                usage=run.usage,
            )
            if state.is_final and held:
                await transaction.touch_conversation(reply.conversation_id, at=now, title=None)
            if state.is_final and run.usage is not None:
                await transaction.add_usage(run.owner, run.usage)
        run.saved_chars = len(text)
        return held

    async def _save_end(self, reply: Message, run: _Run, state: MessageState) -> None:
        """Store the end, outlasting a short outage of the database; after a long one the row ends as abandoned."""
        clock = asyncio.get_running_loop().time
        deadline = clock() + self._limits.lease_seconds
        while True:
            try:
                await self._save(reply, run, state)
            except Exception:
                logger.exception("reply.save_failed", extra={"reply_id": reply.id})
                if clock() > deadline:
                    return
                await asyncio.sleep(self._limits.save_every_seconds)
            else:
                return

    async def _end(self, reply: Message, run: _Run, state: MessageState) -> None:
        await self._save_end(reply, run, state)
        self._runs.pop(reply.id, None)
        run.live.end(state)
        _replies.add(1, {names.STATE: state.value})
        logger.info(
            "reply.ended",
            extra={
                "reply_id": reply.id,
                "conversation_id": reply.conversation_id,
                "state": state.value,
                "chars": len(run.live.text),
            },
        )
