"""Migrations and table definitions are the same thing said twice; here they are compared on both databases."""

import asyncio
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from opentelemetry.sdk.trace import TracerProvider
from sqlalchemy import Connection, text

from tandem_feedback.adapters.sql.tables import metadata
from tandem_feedback.entrypoints import cli
from tandem_feedback.entrypoints.cli import main
from tandem_messaging.database import Database
from tandem_telemetry import Telemetry


@pytest.fixture(autouse=True)
def _telemetry_of_the_tests_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "configure_telemetry", lambda _: Telemetry(TracerProvider()))


@pytest.fixture
def migrated_url(database_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("TANDEM_FEEDBACK_DATABASE_URL", database_url)
    assert main(["migrate"]) == 0
    return database_url


def differences(connection: Connection) -> list[Any]:
    context = MigrationContext.configure(connection, opts={"compare_type": True})
    return list(compare_metadata(context, metadata))


async def look(url: str) -> list[Any]:
    database = Database(url)
    async with database.read() as session:
        found = await (await session.connection()).run_sync(differences)
    await database.close()
    return found


def test_migrations_make_exactly_the_tables_that_the_code_uses(migrated_url: str) -> None:
    assert asyncio.run(look(migrated_url)) == []


def test_migrating_again_changes_nothing_and_keeps_the_rows(migrated_url: str) -> None:
    async def run(statement: str) -> list[Any]:
        database = Database(migrated_url)
        async with database.write() as session:
            found = list((await session.execute(text(statement))).all())
        await database.close()
        return found

    row = "'r', 'c', 'queued', '{}', 'h', 0, 0, '2026-01-01 00:00:00', '2026-01-01 00:00:00'"
    columns = (
        "request_id, conversation_id, state, request, body_hash, attempts, fence, received_at, touched_at"
    )
    asyncio.run(run(f"INSERT INTO jobs ({columns}) VALUES ({row}) RETURNING request_id"))
    assert main(["migrate"]) == 0
    assert asyncio.run(run("SELECT request_id FROM jobs")) == [("r",)]


def test_database_that_cannot_be_reached_is_explained(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TANDEM_FEEDBACK_DATABASE_URL", "postgresql+asyncpg://me:hunter2@127.0.0.1:1/none")
    assert main(["migrate"]) == 1
    told = capsys.readouterr().err
    assert "tandem-feedback: the database cannot be used now" in told
    assert "hunter2" not in told
