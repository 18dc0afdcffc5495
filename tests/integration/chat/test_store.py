"""What chat's store promises, the same on SQLite and Postgres: conversations and replies."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from tandem_chat.adapters.sql.store import SqlStore
from tandem_chat.domain.conversation import Conversation, Message, MessageState, Role
from tandem_chat.domain.errors import ConversationNotFoundError, FeedbackNotFoundError, MessageNotFoundError
from tests.support.chat_events import add_feedback

T0 = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
SECOND = timedelta(seconds=1)


async def _add_conversation(store: SqlStore, name: str, at: datetime = T0) -> str:
    async with store.write() as transaction:
        await transaction.add_conversation(Conversation(name, f"About {name}", at, at, 0))
    return name


async def _add_reply(store: SqlStore, conversation_id: str, position: int = 0) -> Message:
    reply = Message(
        f"{conversation_id}-{position}",
        conversation_id,
        position,
        Role.ASSISTANT,
        "",
        MessageState.QUEUED,
        T0,
    )
    async with store.write() as transaction:
        await transaction.add_message(reply)
    return reply


async def _claim(store: SqlStore, reply: Message, owner: str, lease: timedelta) -> None:
    async with store.write() as transaction:
        await transaction.claim_reply(reply.id, owner=owner, until=await transaction.now() + lease)


async def _save(
    store: SqlStore, reply: Message, owner: str, content: str, state: MessageState = MessageState.RUNNING
) -> bool:
    async with store.write() as transaction:
        until = await transaction.now() + timedelta(minutes=1)
        return await transaction.save_reply(reply.id, owner=owner, content=content, state=state, until=until)


async def _interrupted(store: SqlStore) -> list[str]:
    async with store.write() as transaction:
        return list(await transaction.interrupt_abandoned())


async def test_conversation_comes_back_as_it_was_stored(store: SqlStore) -> None:
    stored = Conversation("one", "제목 🦊 'quoted' %s", T0, T0 + SECOND, 0)
    async with store.write() as transaction:
        await transaction.add_conversation(stored)

    async with store.read() as transaction:
        assert await transaction.conversation("one") == stored


async def test_pages_list_each_conversation_once_the_latest_first_even_at_equal_times(
    store: SqlStore,
) -> None:
    times = {"c1": T0, "a": T0 + SECOND, "b": T0 + SECOND, "d": T0 + SECOND, "e": T0 + 2 * SECOND}
    for name, at in times.items():
        await _add_conversation(store, name, at)

    listed: list[str] = []
    before = None
    while True:
        async with store.read() as transaction:
            page = await transaction.conversations(limit=2, before=before)
        if not page:
            break
        listed += [conversation.id for conversation in page]
        before = (page[-1].updated_at, page[-1].id)

    assert listed == ["e", "d", "b", "a", "c1"]


async def test_touched_conversation_moves_to_the_top_and_only_an_empty_title_is_replaced(
    store: SqlStore,
) -> None:
    await _add_conversation(store, "named")
    await _add_conversation(store, "later", T0 + SECOND)
    async with store.write() as transaction:
        await transaction.add_conversation(Conversation("nameless", "", T0, T0, 0))
        for touched in ("named", "nameless"):
            await transaction.touch_conversation(touched, at=T0 + 2 * SECOND, title="New title")

    async with store.read() as transaction:
        listed = await transaction.conversations(limit=10, before=None)
    assert [(c.id, c.title) for c in listed] == [
        ("nameless", "New title"),
        ("named", "About named"),
        ("later", "About later"),
    ]


async def test_deleting_a_conversation_takes_its_messages_and_feedback_and_no_others(store: SqlStore) -> None:
    for name in ("gone", "kept"):
        await _add_conversation(store, name)
        await _add_reply(store, name)
        await add_feedback(store, name, feedback_id=f"feedback-{name}")

    async with store.write() as transaction:
        await transaction.delete_conversation("gone")

    async with store.read() as transaction:
        with pytest.raises(ConversationNotFoundError):
            await transaction.conversation("gone")
        with pytest.raises(MessageNotFoundError):
            await transaction.message("gone-0")
        with pytest.raises(FeedbackNotFoundError):
            await transaction.feedback("feedback-gone")
        assert await transaction.stop_requested("gone-0")
        assert (await transaction.conversation("kept")).message_count == 1
        assert (await transaction.feedback("feedback-kept")).conversation_id == "kept"


async def test_reply_is_saved_by_its_owner_alone(store: SqlStore) -> None:
    reply = await _add_reply(store, await _add_conversation(store, "c"))
    await _claim(store, reply, "first", timedelta(minutes=1))

    assert await _save(store, reply, "first", "mine")
    assert not await _save(store, reply, "second", "theirs")

    async with store.read() as transaction:
        assert await transaction.message(reply.id) == replace(
            reply, content="mine", state=MessageState.RUNNING
        )


async def test_former_owner_cannot_write_into_a_reply_that_was_claimed_again(store: SqlStore) -> None:
    reply = await _add_reply(store, await _add_conversation(store, "c"))
    await _claim(store, reply, "first", timedelta(minutes=1))
    assert await _save(store, reply, "first", "old text")
    await _claim(store, reply, "second", timedelta(minutes=1))

    assert not await _save(store, reply, "first", "more old text")

    async with store.read() as transaction:
        assert (await transaction.message(reply.id)).content == ""


async def test_ended_reply_is_written_no_more(store: SqlStore) -> None:
    reply = await _add_reply(store, await _add_conversation(store, "c"))
    await _claim(store, reply, "owner", timedelta(minutes=1))
    assert await _save(store, reply, "owner", "the end", MessageState.COMPLETED)

    assert not await _save(store, reply, "owner", "and another thing")

    async with store.read() as transaction:
        ended = await transaction.message(reply.id)
    assert (ended.content, ended.state) == ("the end", MessageState.COMPLETED)


async def test_only_replies_whose_lease_has_lapsed_are_interrupted(store: SqlStore) -> None:
    await _add_conversation(store, "c")
    replies = [await _add_reply(store, "c", position) for position in range(4)]
    written, abandoned, completed, stopped = replies
    for reply in replies:
        await _claim(store, reply, "owner", timedelta(minutes=1))
        await _save(store, reply, "owner", "some text")
    await _save(store, completed, "owner", "all text", MessageState.COMPLETED)
    await _save(store, stopped, "owner", "some text", MessageState.STOPPED)
    async with store.write() as transaction:
        for reply in (abandoned, completed, stopped):
            await transaction.save_reply(
                reply.id,
                owner="owner",
                content="some text",
                state=MessageState.RUNNING,
                until=await transaction.now() - SECOND,
            )

    assert await _interrupted(store) == [abandoned.id]
    assert await _interrupted(store) == []

    async with store.read() as transaction:
        found = await transaction.message(abandoned.id)
        assert (await transaction.message(written.id)).state == MessageState.RUNNING
    assert (found.state, found.content) == (MessageState.INTERRUPTED, "some text")
    assert found.error_code == "chat_restarted"


async def test_stop_is_remembered_until_the_reply_is_claimed_again(store: SqlStore) -> None:
    reply = await _add_reply(store, await _add_conversation(store, "c"))
    async with store.write() as transaction:
        assert not await transaction.stop_requested(reply.id)
        await transaction.request_stop(reply.id)
    async with store.read() as transaction:
        assert await transaction.stop_requested(reply.id)

    await _claim(store, reply, "owner", timedelta(minutes=1))

    async with store.read() as transaction:
        assert not await transaction.stop_requested(reply.id)


async def test_failed_transaction_leaves_nothing_behind(store: SqlStore) -> None:
    with pytest.raises(RuntimeError, match="on purpose"):  # noqa: PT012 - the block is one transaction
        async with store.write() as transaction:
            await transaction.add_conversation(Conversation("c", "", T0, T0, 0))
            raise RuntimeError("on purpose")

    async with store.read() as transaction:
        assert await transaction.conversations(limit=10, before=None) == []
