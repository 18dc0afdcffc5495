"""A user of the real stack, for each test anew."""

from collections.abc import Iterator

import pytest

from tests.support.chat_user import ChatUser
from tests.support.stack import Stack


@pytest.fixture
def user(stack: Stack) -> Iterator[ChatUser]:
    for service in ("inference", "feedback", "chat"):
        stack.wait_ready(service)
    chat_user = ChatUser(stack.chat_url)
    yield chat_user
    chat_user.close()
