"""One chat on a database of its own for each test that asks."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tandem_messaging.database import Database
from tests.support.chat_builders import Chat, create_tables


@pytest.fixture(scope="session")
def empty_database_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with chat's tables, to be copied: making them takes longer than most tests."""
    file = tmp_path_factory.mktemp("chat") / "empty.db"
    asyncio.run(create_tables(f"sqlite+aiosqlite:///{file}"))
    return file


@pytest.fixture
async def database(empty_database_file: Path, tmp_path: Path) -> AsyncIterator[Database]:
    file = shutil.copy(empty_database_file, tmp_path / "chat.db")
    opened = Database(f"sqlite+aiosqlite:///{file}")
    yield opened
    await opened.close()


@pytest.fixture
async def chat(database: Database) -> AsyncIterator[Chat]:
    built = Chat.on(database)
    yield built
    await built.runner.close()
