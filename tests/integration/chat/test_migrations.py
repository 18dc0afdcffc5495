"""Chat's migrations make exactly the tables that the code uses, on both databases."""

import asyncio

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from pydantic import SecretStr
from sqlalchemy.engine import Connection
from sqlalchemy.ext.asyncio import create_async_engine

from tandem_chat.adapters.sql.tables import metadata
from tandem_chat.entrypoints.cli import migrate
from tandem_chat.settings import ChatSettings


def _differences(connection: Connection) -> list[object]:
    context = MigrationContext.configure(connection, opts={"compare_server_default": True})
    return list(compare_metadata(context, metadata))


async def _compare(url: str) -> list[object]:
    engine = create_async_engine(url)
    async with engine.connect() as connection:
        found = await connection.run_sync(_differences)
    await engine.dispose()
    return found


def test_migrated_database_has_the_tables_of_the_code_and_migrating_again_changes_nothing(
    database_url: str,
) -> None:
    settings = ChatSettings(database_url=SecretStr(database_url))

    migrate(settings)
    assert asyncio.run(_compare(database_url)) == []

    migrate(settings)
    assert asyncio.run(_compare(database_url)) == []


def test_comparison_would_notice_a_missing_migration(database_url: str) -> None:
    assert asyncio.run(_compare(database_url)) != []
