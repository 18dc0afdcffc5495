"""One chat on a database of its own for each test that asks."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tandem_messaging.database import Database
from tests.support.chat_builders import Chat, chat_database


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    async with chat_database(tmp_path / "chat.db") as opened:
        yield opened


@pytest.fixture
async def chat(database: Database) -> AsyncIterator[Chat]:
    built = Chat.on(database)
    yield built
    await built.runner.close()
