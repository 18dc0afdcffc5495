"""Gives the tests of this folder a database of each kind, with the tables of messaging in it."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import Column, Integer, MetaData, Table

from tandem_messaging.database import Database, UtcDateTime
from tandem_messaging.inbox import inbox_table
from tandem_messaging.outbox import outbox_table
from tests.support.databases import database_url

__all__ = ["database_url"]

metadata = MetaData()
_outbox = outbox_table(metadata)
_inbox = inbox_table(metadata)
Table(
    "notes",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("at", UtcDateTime),
)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url)
    async with database.write() as session:
        await (await session.connection()).run_sync(metadata.create_all)
    yield database
    await database.close()


@pytest.fixture
def outbox() -> Table:
    return _outbox


@pytest.fixture
def inbox() -> Table:
    return _inbox


@pytest.fixture
def notes() -> Table:
    return metadata.tables["notes"]
