"""Runs chat's migrations over one connection; called by `tandem-chat migrate`, or by alembic itself for new ones."""

import asyncio
import os

from alembic import context
from sqlalchemy.engine import Connection

from tandem_chat.adapters.sql.tables import metadata
from tandem_messaging.database import Database


def run(connection: Connection) -> None:
    """Migrate over `connection`. SQLite cannot alter tables in place, hence batch mode."""
    context.configure(connection=connection, target_metadata=metadata, render_as_batch=True)
    with context.begin_transaction():
        context.run_migrations()


async def connect_and_run() -> None:
    """Open the database that the caller named and migrate it."""
    url = context.config.attributes.get("database_url") or os.environ["TANDEM_CHAT_DATABASE_URL"]
    database = Database(url)
    try:
        async with database.write() as session:
            await (await session.connection()).run_sync(run)
    finally:
        await database.close()


asyncio.run(connect_and_run())
