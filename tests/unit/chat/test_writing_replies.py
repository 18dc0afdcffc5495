"""How a reply is written: stored while it grows, and ended in a state that tells why, always with its text."""

import asyncio

import pytest

from tandem_chat.application.run_replies import ReplyLimits
from tandem_chat.domain.conversation import Message, MessageState
from tandem_chat.domain.errors import EngineBrokeOffError, EngineNotReadyError, EngineRefusedError
from tandem_messaging.database import Database
from tests.support.chat_builders import Chat, eventually


async def _stored(chat: Chat, reply: Message, text: str) -> None:
    """Wait until the row itself holds `text`."""
    deadline = asyncio.get_running_loop().time() + 10
    while (await chat.replies.read(reply.id)).content != text:
        assert asyncio.get_running_loop().time() < deadline, "the text was never saved"
        await asyncio.sleep(0.005)


async def test_answer_is_stored_whole(chat: Chat) -> None:
    reply = await chat.answered("To be, or not to be")

    assert (reply.content, reply.state) == ("To be, or not to be", MessageState.COMPLETED)


async def test_text_is_stored_while_it_grows_in_far_fewer_writes_than_tokens(chat: Chat) -> None:
    reply = await chat.ask()
    before = chat.store.writes
    for _ in range(500):
        chat.engine.say("token ")
        await asyncio.sleep(0)
    await _stored(chat, reply, "token " * 500)
    assert (await chat.replies.read(reply.id)).state == MessageState.RUNNING

    chat.engine.finish()
    await chat.ended(reply)

    assert chat.store.writes - before < 100


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (EngineBrokeOffError("connection lost"), "engine_broke_off"),
        (EngineRefusedError("no such model"), "engine_refused"),
        (KeyError("choices"), "internal_error"),
    ],
)
async def test_reply_that_fails_keeps_its_text_and_says_why(chat: Chat, error: Exception, code: str) -> None:
    reply = await chat.ask()
    chat.engine.say("Half an ans")
    chat.engine.fail(error)

    ended = await chat.ended(reply)

    assert (ended.content, ended.state, ended.error_code) == ("Half an ans", MessageState.FAILED, code)
    assert ended.error_detail
    assert "Traceback" not in ended.error_detail


async def test_busy_engine_is_waited_for(chat: Chat) -> None:
    chat.engine.refusals = [EngineNotReadyError("full", retry_after=0.01)] * 3

    reply = await chat.answered("at last")

    assert (reply.content, reply.state, reply.error_code) == ("at last", MessageState.COMPLETED, None)


async def test_engine_that_stays_away_fails_the_reply(database: Database) -> None:
    chat = Chat.on(database, ReplyLimits(max_tokens=10, wait_for_engine_seconds=0.05))
    chat.engine.refusals = [EngineNotReadyError("still loading", retry_after=0.02)] * 100

    ended = await chat.ended(await chat.ask())

    assert (ended.state, ended.error_code) == (MessageState.FAILED, "engine_not_ready")
    assert "still loading" in (ended.error_detail or "")


async def test_stop_in_the_middle_keeps_the_text_and_frees_the_engine(chat: Chat) -> None:
    reply = await chat.ask()
    chat.engine.say("Once upon")
    await chat.heard(reply, "Once upon")

    await chat.replies.stop(reply.id)
    ended = await chat.ended(reply)

    assert (ended.content, ended.state, ended.error_code) == ("Once upon", MessageState.STOPPED, None)
    assert chat.engine.open_streams == 0


async def test_stop_before_the_first_token_ends_the_reply_empty(chat: Chat) -> None:
    reply = await chat.ask()
    await eventually(lambda: chat.engine.open_streams, "the engine to be asked")

    await chat.replies.stop(reply.id)
    ended = await chat.ended(reply)

    assert (ended.content, ended.state) == ("", MessageState.STOPPED)
    assert chat.engine.open_streams == 0


async def test_stop_before_the_writing_even_began_ends_the_reply_for_its_readers(chat: Chat) -> None:
    reply = await chat.ask()
    chat.runner.stop(reply.id)  # no await since it was started

    assert [text async for _, text in chat.replies.follow(reply.id, after=0)] == []
    assert (await chat.ended(reply)).state == MessageState.STOPPED
    assert chat.engine.asked == []


async def test_stopping_twice_at_once_is_stopping_once(chat: Chat) -> None:
    reply = await chat.ask()
    chat.engine.say("Once")
    await chat.heard(reply, "Once")

    for _ in range(20):
        chat.runner.stop(reply.id)
        await asyncio.sleep(0)
    ended = await chat.ended(reply)

    assert (ended.content, ended.state) == ("Once", MessageState.STOPPED)


async def test_stop_waits_for_no_busy_engine(chat: Chat) -> None:
    chat.engine.refusals = [EngineNotReadyError("full", retry_after=30)]
    reply = await chat.ask()
    await eventually(lambda: chat.engine.asked, "the engine to be asked")

    await chat.replies.stop(reply.id)

    assert (await chat.ended(reply)).state == MessageState.STOPPED


async def test_stop_reaches_a_reply_that_another_process_writes(chat: Chat, database: Database) -> None:
    reply = await chat.ask()
    chat.engine.say("Written here")
    await chat.heard(reply, "Written here")

    await Chat.on(database).replies.stop(reply.id)
    ended = await chat.ended(reply)

    assert (ended.content, ended.state) == ("Written here", MessageState.STOPPED)
    assert chat.engine.open_streams == 0


async def test_another_process_can_read_along(chat: Chat, database: Database) -> None:
    reply = await chat.ask()
    other = Chat.on(database)
    heard: list[str] = []

    async def read() -> None:
        async for _, text in other.replies.follow(reply.id, after=0):
            heard.append(text)

    reader = asyncio.create_task(read())
    for word in ("Read ", "elsewhere."):
        chat.engine.say(word)
        await eventually(lambda: "".join(heard).endswith(word), "the other process to see it")  # noqa: B023 - awaited here
    chat.engine.finish()
    await asyncio.wait_for(reader, 30)

    assert "".join(heard) == "Read elsewhere."


async def test_closing_interrupts_every_reply_and_keeps_its_text(chat: Chat) -> None:
    writing = await chat.ask()
    chat.engine.say("Not yet fini")
    await chat.heard(writing, "Not yet fini")
    just_begun = await chat.ask()

    await chat.runner.close()

    for reply, text in ((writing, "Not yet fini"), (just_begun, "")):
        ended = await chat.replies.read(reply.id)
        assert (ended.content, ended.state, ended.error_code) == (
            text,
            MessageState.INTERRUPTED,
            "chat_restarted",
        )


async def test_answer_survives_a_database_that_is_away_for_a_moment(chat: Chat) -> None:
    reply = await chat.ask()
    chat.engine.say("All of it")
    await chat.heard(reply, "All of it")
    chat.store.failures = 3
    chat.engine.finish()

    ended = await chat.ended(reply)

    assert (ended.content, ended.state) == ("All of it", MessageState.COMPLETED)


async def test_deleting_the_conversation_ends_its_reply_and_its_readers(chat: Chat) -> None:
    reply = await chat.ask()
    chat.engine.say("Soon gone")
    await chat.heard(reply, "Soon gone")

    await chat.conversations.delete(reply.conversation_id)
    heard = [text async for _, text in chat.replies.follow(reply.id, after=0)]

    assert heard in ([], ["Soon gone"])
    await eventually(lambda: chat.runner.live(reply.id) is None, "the reply to end")
    assert chat.engine.open_streams == 0
