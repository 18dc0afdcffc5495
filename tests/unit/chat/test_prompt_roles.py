"""The model sees roles that take turns, whatever became of earlier replies."""

from datetime import UTC, datetime

from tandem_chat.domain.conversation import Message, MessageState, Role
from tandem_chat.domain.prompt import prompt_messages


def said(position: int, role: Role, content: str) -> Message:
    return Message(str(position), "c", position, role, content, MessageState.COMPLETED, datetime.now(UTC))


def test_questions_around_a_reply_without_text_become_one() -> None:
    history = [said(0, Role.USER, "One?"), said(1, Role.ASSISTANT, "")]
    prompt = prompt_messages(history, "Two?")
    assert [(message.role, message.content) for message in prompt] == [(Role.USER, "One?\n\nTwo?")]


def test_answered_questions_stay_as_they_are() -> None:
    history = [said(0, Role.USER, "One?"), said(1, Role.ASSISTANT, "Yes.")]
    prompt = prompt_messages(history, "Two?")
    assert [message.role for message in prompt] == [Role.USER, Role.ASSISTANT, Role.USER]
    assert prompt[-1].content == "Two?"
