"""Chat's database in both kinds, empty for each test; and running services that a module's tests share."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tandem_chat.adapters.sql.store import SqlStore
from tandem_messaging.database import Database
from tests.support.chat_builders import create_tables
from tests.support.chat_process import ChatProcess, StubInference, WebApp, web_app
from tests.support.postgres import PostgresServer


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Address of an empty database, without tables."""
    if request.param == "sqlite":
        return f"sqlite+aiosqlite:///{tmp_path / 'chat.db'}"
    return str(request.getfixturevalue("postgres_url"))


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    await create_tables(database_url)
    opened = Database(database_url)
    yield opened
    await opened.close()


@pytest.fixture
def store(database: Database) -> SqlStore:
    return SqlStore(database)


@pytest.fixture(scope="session")
def running_inference() -> Iterator[StubInference]:
    inference = StubInference()
    inference.start()
    yield inference
    inference.stop()


@pytest.fixture
def inference(running_inference: StubInference) -> Iterator[StubInference]:
    """The stub engine that answers at once, until the test sets it otherwise."""
    yield running_inference
    running_inference.pace()
    running_inference.is_ready = True
    running_inference.cut_after_bytes = None


@pytest.fixture(scope="session")
def chat_on_sqlite(
    running_inference: StubInference, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ChatProcess]:
    folder = tmp_path_factory.mktemp("chat-on-sqlite")
    database_url = f"sqlite+aiosqlite:///{folder / 'chat.db'}"
    yield from _running(ChatProcess(folder, database_url=database_url, inference_url=running_inference.url))


@pytest.fixture(scope="session")
def chat_on_postgres(
    running_inference: StubInference,
    postgres_server: PostgresServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[ChatProcess]:
    folder = tmp_path_factory.mktemp("chat-on-postgres")
    name = postgres_server.create_database()
    database_url = postgres_server.url(name)
    yield from _running(ChatProcess(folder, database_url=database_url, inference_url=running_inference.url))
    postgres_server.drop_database(name)


def _running(chat: ChatProcess) -> Iterator[ChatProcess]:
    chat.migrate()
    chat.start()
    yield chat
    chat.stop()
    # Whatever the tests sent it, nothing may have surprised it.
    assert "request.crashed" not in chat.log()
    assert "Exception in ASGI application" not in chat.log()


@pytest.fixture
async def app(chat_on_sqlite: ChatProcess, inference: StubInference) -> AsyncIterator[WebApp]:
    """A web app on a running chat with SQLite; other tests' conversations may be there too."""
    async with web_app(chat_on_sqlite) as opened:
        yield opened


@pytest.fixture(params=["sqlite", "postgres"])
async def app_on_both(request: pytest.FixtureRequest, inference: StubInference) -> AsyncIterator[WebApp]:
    """The same on each database, one after the other."""
    chat: ChatProcess = request.getfixturevalue(f"chat_on_{request.param}")
    async with web_app(chat) as opened:
        yield opened
