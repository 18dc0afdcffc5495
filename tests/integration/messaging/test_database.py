"""Databases behave the same on SQLite and Postgres: times keep their zone, writers queue up, outages are told apart."""

import asyncio
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import aiosqlite
import pytest
from sqlalchemy import Table, func, insert, select, text
from sqlalchemy.exc import DBAPIError, StatementError

from tandem_messaging import database as database_module
from tandem_messaging.database import Database, database_now
from tandem_messaging.errors import DatabaseUnavailableError
from tests.support.ports import free_port
from tests.support.postgres import PostgresServer


async def test_time_comes_back_aware_and_equal_when_stored_in_another_zone(
    database: Database, notes: Table
) -> None:
    when = datetime(2026, 3, 1, 1, 30, 0, 123456, tzinfo=timezone(timedelta(hours=9)))
    async with database.write() as session:
        await session.execute(insert(notes).values(at=when))
    async with database.read() as session:
        (back,) = (await session.execute(select(notes.c.at))).scalars()
    assert back == when
    assert back.utcoffset() == timedelta(0)


async def test_times_compare_as_instants_when_their_zones_differ(database: Database, notes: Table) -> None:
    noon = datetime(2026, 3, 1, 12, tzinfo=UTC)
    async with database.write() as session:
        await session.execute(insert(notes).values(at=noon))
    later_elsewhere = datetime(2026, 3, 1, 9, tzinfo=timezone(timedelta(hours=-4)))
    async with database.read() as session:
        earlier = (await session.execute(select(notes.c.id).where(notes.c.at < later_elsewhere))).all()
    assert len(earlier) == 1


async def test_time_without_zone_is_refused(database: Database, notes: Table) -> None:
    with pytest.raises(StatementError, match="aware datetime"):
        async with database.write() as session:
            await session.execute(insert(notes).values(at=datetime(2026, 3, 1)))  # noqa: DTZ001 - the mistake meant here


async def test_clock_of_the_database_is_aware_and_roughly_now(database: Database) -> None:
    async with database.read() as session:
        now = await database_now(session)
    assert now.utcoffset() == timedelta(0)
    assert abs(now - datetime.now(UTC)) < timedelta(minutes=1)


async def test_nothing_stays_when_the_block_raises(database: Database, notes: Table) -> None:
    async def write_then_fail() -> None:
        async with database.write() as session:
            await session.execute(insert(notes).values(at=datetime.now(UTC)))
            raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError, match="in the middle"):
        await write_then_fail()
    assert await _count(database, notes) == 0


async def test_nothing_stays_when_a_reader_writes(database: Database, notes: Table) -> None:
    async with database.read() as session:
        await session.execute(insert(notes).values(at=datetime.now(UTC)))
    assert await _count(database, notes) == 0


async def test_twenty_writers_at_once_all_succeed_when_they_read_first(
    database: Database, notes: Table
) -> None:
    async def read_then_write() -> None:
        async with database.write() as session:
            await session.execute(select(func.count()).select_from(notes))
            await asyncio.sleep(0)
            await session.execute(insert(notes).values(at=datetime.now(UTC)))

    await asyncio.gather(*[read_then_write() for _ in range(20)])
    assert await _count(database, notes) == 20


async def test_readers_are_not_held_up_by_a_writer(database: Database, notes: Table) -> None:
    async with database.write() as session:
        await session.execute(insert(notes).values(at=datetime.now(UTC)))
        assert await _count(database, notes) == 0
    assert await _count(database, notes) == 1


async def test_committed_rows_survive_on_disk_with_full_synchronisation(tmp_path: Path) -> None:
    database = Database(f"sqlite+aiosqlite:///{tmp_path}/new/folder/test.db")
    async with database.read() as session:
        asked = {
            name: await session.scalar(text(f"PRAGMA {name}")) for name in ("journal_mode", "synchronous")
        }
    await database.close()
    assert asked == {"journal_mode": "wal", "synchronous": 2}


async def test_wrong_statement_is_no_outage(database: Database) -> None:
    with pytest.raises(DBAPIError):
        async with database.read() as session:
            await session.execute(text("SELECT no_such_column FROM notes"))


async def test_server_that_does_not_answer_is_an_outage() -> None:
    database = Database(f"postgresql+asyncpg://nobody@127.0.0.1:{free_port()}/nothing")
    with pytest.raises(DatabaseUnavailableError, match="cannot be used now"):
        async with database.read() as session:
            await session.execute(text("SELECT 1"))


def test_folder_that_cannot_be_made_is_an_outage(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DatabaseUnavailableError, match="cannot be used now"):
        Database(f"sqlite+aiosqlite:///{tmp_path}/file/test.db")


async def test_lock_held_for_too_long_is_an_outage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database_module, "_SQLITE_BUSY_MILLIS", 20)
    database = Database(f"sqlite+aiosqlite:///{tmp_path}/test.db")
    async with database.write() as session:
        await session.execute(text("CREATE TABLE held (id int)"))
        with pytest.raises(DatabaseUnavailableError, match="locked"):
            async with database.write() as other:
                await other.execute(text("SELECT 1"))
    await database.close()


async def test_restart_of_postgres_is_an_outage_and_then_over(
    postgres_server: PostgresServer, postgres_url: str
) -> None:
    database = Database(postgres_url)
    async with database.write() as session:
        await session.execute(text("CREATE TABLE kept (id int)"))
        await session.execute(text("INSERT INTO kept VALUES (1)"))

    async def write_while_it_stops() -> None:
        async with database.write() as session:
            await session.execute(text("SELECT 1"))
            postgres_server.stop()
            await session.execute(text("INSERT INTO kept VALUES (2)"))

    try:
        with pytest.raises(DatabaseUnavailableError):
            await write_while_it_stops()
        with pytest.raises(DatabaseUnavailableError):
            async with database.read() as session:
                await session.execute(text("SELECT 1"))
    finally:
        postgres_server.start()
    async with database.read() as session:
        assert (await session.execute(text("SELECT id FROM kept"))).scalars().all() == [1]
    await database.close()


async def _count(database: Database, table: Table) -> int:
    async with database.read() as session:
        return (await session.execute(select(func.count()).select_from(table))).scalar_one()


async def test_task_cancelled_before_its_rows_came_leaves_no_lock_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = Database(f"sqlite+aiosqlite:///{tmp_path}/test.db")
    async with database.write() as session:
        await session.execute(text("CREATE TABLE numbers (id INTEGER PRIMARY KEY)"))

    async def write(number: int) -> None:
        async with database.write() as session:
            await session.execute(text(f"INSERT INTO numbers VALUES ({number}) RETURNING id"))

    kept_alive = []  # as a traceback in a reference cycle would keep it
    reached = asyncio.Event()

    async def never_returns(cursor: aiosqlite.Cursor) -> None:
        kept_alive.append(cursor)
        reached.set()
        await asyncio.Event().wait()

    with monkeypatch.context() as patched:
        patched.setattr(aiosqlite.Cursor, "fetchall", never_returns)
        cancelled = asyncio.create_task(write(1))
        await reached.wait()
        cancelled.cancel()
        await asyncio.wait([cancelled])

    await write(2)

    async with database.read() as session:
        stored = (await session.execute(text("SELECT id FROM numbers"))).scalars().all()
    assert stored == [2]
    await database.close()
