"""Who may write next in a conversation: one reply at a time, and only the last one again."""

import asyncio
from typing import Any

import pytest

from tandem_chat.application.ports import TokenCount
from tandem_chat.domain.conversation import Message, MessageState
from tandem_chat.domain.errors import (
    ConversationNotFoundError,
    EngineBrokeOffError,
    MessageNotFoundError,
    ReplyInProgressError,
    ReplyNotRetryableError,
)
from tests.support.chat_builders import Chat


async def _stopped(chat: Chat, conversation_id: str | None = None) -> Message:
    reply = await chat.ask(conversation_id=conversation_id)
    await chat.replies.stop(reply.id)
    return await chat.ended(reply)


async def test_first_message_names_the_conversation_and_later_ones_do_not(chat: Chat) -> None:
    conversation_id = (await chat.conversations.create("")).id
    await chat.ended(await _asked_and_answered(chat, "What is rust?", conversation_id))
    await chat.ended(await _asked_and_answered(chat, "And iron?", conversation_id))

    assert (await chat.conversations.read(conversation_id))[0].title == "What is rust?"


async def test_chosen_title_stays(chat: Chat) -> None:
    conversation_id = (await chat.conversations.create("Chemistry")).id
    await chat.ended(await _asked_and_answered(chat, "What is rust?", conversation_id))

    assert (await chat.conversations.read(conversation_id))[0].title == "Chemistry"


async def _asked_and_answered(chat: Chat, content: str, conversation_id: str) -> Message:
    chat.engine.say("an answer")
    chat.engine.finish()
    return await chat.ask(content, conversation_id)


async def test_second_message_is_refused_while_a_reply_is_written(chat: Chat) -> None:
    reply = await chat.ask()

    with pytest.raises(ReplyInProgressError):
        await chat.ask("And another", reply.conversation_id)

    assert (await chat.conversations.read(reply.conversation_id))[0].message_count == 2


async def test_of_two_messages_at_once_one_is_taken(chat: Chat) -> None:
    conversation_id = (await chat.conversations.create("")).id

    results = await asyncio.gather(
        *(chat.ask(f"message {n}", conversation_id) for n in range(5)), return_exceptions=True
    )

    assert sum(isinstance(result, Message) for result in results) == 1
    assert sum(isinstance(result, ReplyInProgressError) for result in results) == 4
    assert (await chat.conversations.read(conversation_id))[0].message_count == 2


async def test_message_is_refused_when_a_retry_began_while_its_tokens_were_counted(
    chat: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    reply = await _stopped(chat)
    count = chat.engine.count_tokens

    async def retry_first(messages: Any, **how: Any) -> TokenCount:
        monkeypatch.setattr(chat.engine, "count_tokens", count)
        await chat.posting.retry(reply.id)
        return await count(messages, **how)

    monkeypatch.setattr(chat.engine, "count_tokens", retry_first)
    with pytest.raises(ReplyInProgressError):
        await chat.ask("Too late", reply.conversation_id)

    assert (await chat.conversations.read(reply.conversation_id))[0].message_count == 2


async def test_message_to_an_unknown_conversation_is_refused(chat: Chat) -> None:
    with pytest.raises(ConversationNotFoundError):
        await chat.ask(conversation_id="nowhere")


async def test_stopped_reply_is_written_again_from_nothing_with_the_same_prompt(chat: Chat) -> None:
    reply = await chat.ask("Tell me more")
    chat.engine.say("A first att")
    await chat.heard(reply, "A first att")
    await chat.replies.stop(reply.id)
    await chat.ended(reply)

    again = await chat.posting.retry(reply.id)
    chat.engine.say("A second attempt")
    chat.engine.finish()
    ended = await chat.ended(again)

    assert (ended.id, ended.content, ended.state) == (reply.id, "A second attempt", MessageState.COMPLETED)
    assert chat.engine.asked[0] == chat.engine.asked[1]
    assert [message.content for message in chat.engine.asked[1]] == ["Tell me more"]


async def test_failed_reply_forgets_its_error_when_written_again(chat: Chat) -> None:
    reply = await chat.ask()
    chat.engine.fail(EngineBrokeOffError("gone"))
    assert (await chat.ended(reply)).error_code == "engine_broke_off"

    again = await chat.posting.retry(reply.id)

    assert (again.state, again.content, again.error_code) == (MessageState.QUEUED, "", None)


async def test_completed_reply_is_not_written_again(chat: Chat) -> None:
    reply = await chat.answered("Done")

    with pytest.raises(ReplyNotRetryableError):
        await chat.posting.retry(reply.id)

    assert (await chat.replies.read(reply.id)).content == "Done"


async def test_only_the_last_reply_is_written_again(chat: Chat) -> None:
    early = await _stopped(chat)
    await chat.answered("Later", early.conversation_id)

    with pytest.raises(ReplyNotRetryableError):
        await chat.posting.retry(early.id)


async def test_reply_in_progress_is_not_written_twice(chat: Chat) -> None:
    reply = await _stopped(chat)

    results = await asyncio.gather(*(chat.posting.retry(reply.id) for _ in range(3)), return_exceptions=True)

    assert sum(isinstance(result, Message) for result in results) == 1
    assert sum(isinstance(result, ReplyInProgressError) for result in results) == 2
    assert len(chat.engine.asked) <= 2


async def test_users_message_is_no_reply(chat: Chat) -> None:
    reply = await chat.answered("Hello")
    question = (await chat.conversations.read(reply.conversation_id))[1][0]

    for use in (chat.replies.read, chat.replies.stop, chat.posting.retry):
        with pytest.raises(MessageNotFoundError):
            await use(question.id)


async def test_stopping_a_finished_reply_changes_nothing(chat: Chat) -> None:
    reply = await chat.answered("Complete")

    stopped = await chat.replies.stop(reply.id)

    assert stopped.state == MessageState.COMPLETED
    assert await chat.replies.read(reply.id) == reply
