"""Opens SQLite or Postgres the same way for every service, with reading and writing kept apart.

SQLite runs in WAL mode with full synchronisation: what a commit promised survives a power cut. Tables belong to the services.
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import DateTime, Dialect, event, func, select
from sqlalchemy.engine import Connection, make_url
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.types import TypeDecorator

from tandem_messaging.outages import outages_explained

_SQLITE_BUSY_MILLIS = 10_000
_BEGIN_OPTION = "tandem_sqlite_begin"


class UtcDateTime(TypeDecorator[datetime]):
    """An aware UTC datetime on every database; SQLite itself forgets the zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"expected an aware datetime, got {value!r}")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Database:
    """One service's database. Close it last, after everything that uses it.

    Both kinds of session raise DatabaseUnavailableError where waiting helps.
    """

    def __init__(self, url: str) -> None:
        """Prepare connections to `url` (`sqlite+aiosqlite:///file` or `postgresql+asyncpg://…`); opens none yet.

        Raises:
            DatabaseUnavailableError: the folder of the SQLite file cannot be made.
        """
        self._engine = (
            _sqlite_engine(url) if make_url(url).get_backend_name() == "sqlite" else _server_engine(url)
        )
        writing = self._engine.execution_options(**{_BEGIN_OPTION: "IMMEDIATE"})
        self._read = async_sessionmaker(self._engine, expire_on_commit=False)
        self._write = async_sessionmaker(writing, expire_on_commit=False)

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncSession]:
        """Give a session for reading; anything written in it is rolled back."""
        with outages_explained():
            async with self._read() as session:
                yield session

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncSession]:
        """Give a session in one transaction: committed when the block ends, rolled back when it raises.

        On SQLite the block holds the only write lock: never await a model or a broker inside.
        """
        with outages_explained():
            async with self._write() as session, session.begin():
                yield session

    async def close(self) -> None:
        """Close every connection."""
        await self._engine.dispose()


async def database_now(session: AsyncSession) -> datetime:
    """Return the clock that leases are measured by: the server's own on Postgres, so that machines may disagree."""
    if session.get_bind().dialect.name == "postgresql":
        now: datetime = (await session.execute(select(func.clock_timestamp()))).scalar_one()
        return now.astimezone(UTC)
    return datetime.now(UTC)


def _server_engine(url: str) -> AsyncEngine:
    return create_async_engine(url, pool_pre_ping=True, pool_size=10, max_overflow=10)


def _sqlite_engine(url: str) -> AsyncEngine:
    if file := make_url(url).database:
        with outages_explained():
            Path(file).parent.mkdir(parents=True, exist_ok=True)
    engine = create_async_engine(url)

    @event.listens_for(engine.sync_engine, "connect")
    def configure(connection: Any, _record: Any) -> None:
        # The driver's own implicit transactions start too late for BEGIN IMMEDIATE.
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout={_SQLITE_BUSY_MILLIS}")
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.close()

    @event.listens_for(engine.sync_engine, "invalidate")
    def roll_back(connection: Any, _record: Any, _error: BaseException | None) -> None:
        # A task cancelled between a statement and its rows leaves a cursor behind; closed with that, SQLite's
        # connection lives on, and with it the write lock, until the garbage collector comes by.
        with suppress(asyncio.CancelledError, sqlite3.Error, ValueError):
            connection.run_async(lambda driver: driver.rollback())

    @event.listens_for(engine.sync_engine, "begin")
    def begin(connection: Connection) -> None:
        # A transaction that reads first and writes later can only fail on SQLite, so writers take the lock at once.
        mode = connection.get_execution_options().get(_BEGIN_OPTION, "DEFERRED")
        connection.exec_driver_sql(f"BEGIN {mode}")

    return engine
