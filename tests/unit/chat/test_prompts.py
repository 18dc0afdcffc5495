"""What the model gets to see: the newest whole turns that fit its window beside the answer."""

import pytest

from tandem_chat.domain.errors import MessageTooLongError
from tandem_chat.domain.prompt import PromptMessage, turn_count, without_oldest_turns
from tests.support.chat_builders import MARKUP_TOKENS_PER_MESSAGE, Chat


def _turns(count: int) -> list[PromptMessage]:
    said = [
        (PromptMessage("user", f"question {n}"), PromptMessage("assistant", f"answer {n}"))
        for n in range(count)
    ]
    return [message for turn in said for message in turn]


@pytest.mark.parametrize("dropped", [0, 1, 4])
def test_turns_are_dropped_whole_and_from_the_oldest(dropped: int) -> None:
    kept = without_oldest_turns([*_turns(5), PromptMessage("user", "last")], dropped)

    assert kept[0] == PromptMessage("user", f"question {dropped}")
    assert turn_count(kept) == 6 - dropped


def test_last_question_stays_however_many_turns_are_dropped() -> None:
    last = PromptMessage("user", "last")

    assert without_oldest_turns([*_turns(3), last], 99) == [last]


async def test_model_sees_the_whole_conversation_while_it_fits(chat: Chat) -> None:
    first = await chat.answered("one")
    await chat.answered("two", first.conversation_id)

    said = [(message.role, message.content) for message in chat.engine.asked[-1]]
    assert said == [("user", "Hello?"), ("assistant", "one"), ("user", "Hello?")]


async def test_oldest_turns_make_room_as_the_engine_counts_tokens(chat: Chat) -> None:
    conversation_id = (await chat.conversations.create("")).id
    for number in range(6):
        chat.engine.say(f"answer {number}")
        chat.engine.finish()
        await chat.ended(await chat.ask(f"question {number}", conversation_id))
    tokens_per_turn = 2 * (2 + MARKUP_TOKENS_PER_MESSAGE)
    # Three earlier turns and the question fit, a quarter of the window staying free for the answer.
    chat.engine.window_tokens = 64
    assert 3 * tokens_per_turn + 6 <= 48 < 4 * tokens_per_turn + 6

    reply = await chat.ask("question 6", conversation_id)
    await chat.heard(reply, "")
    chat.engine.finish()
    await chat.ended(reply)

    seen = chat.engine.asked[-1]
    assert seen[0].role == "user"
    assert seen[-1] == PromptMessage("user", "question 6")
    assert 2 <= turn_count(seen) <= 4
    prompt_tokens = (await chat.engine.count_tokens(seen)).prompt_tokens
    assert prompt_tokens + chat.engine.max_tokens[-1] <= 64
    assert chat.engine.max_tokens[-1] >= 16
    assert (await chat.conversations.read(conversation_id))[0].message_count == 14


async def test_message_that_can_never_fit_is_refused_with_the_numbers_and_not_stored(chat: Chat) -> None:
    chat.engine.window_tokens = 100
    conversation_id = (await chat.conversations.create("")).id

    with pytest.raises(MessageTooLongError, match=r"at most 75 tokens .* got 84"):
        await chat.ask("word " * 80, conversation_id)

    assert (await chat.conversations.read(conversation_id))[1] == []
    assert chat.engine.asked == []


async def test_question_whose_reply_never_got_text_is_asked_together_with_the_next(chat: Chat) -> None:
    silent = await chat.ask("first")
    chat.runner.stop(silent.id)
    await chat.ended(silent)

    await chat.answered("hello", silent.conversation_id)

    assert [message.content for message in chat.engine.asked[-1]] == ["first\n\nHello?"]
