"""Runs feedback's migrations over one connection; called by `tandem-feedback migrate`, or by alembic itself for new ones."""

import asyncio
import os

from alembic import context
from sqlalchemy.engine import Connection
from sqlalchemy.ext.asyncio import create_async_engine

from tandem_feedback.adapters.sql.tables import metadata


def run(connection: Connection) -> None:
    """Migrate over `connection`. SQLite cannot alter tables in place, hence batch mode."""
    context.configure(connection=connection, target_metadata=metadata, render_as_batch=True)
    with context.begin_transaction():
        context.run_migrations()


async def connect_and_run() -> None:
    """Open the database that the caller named and migrate it."""
    url = context.config.attributes.get("database_url") or os.environ["TANDEM_FEEDBACK_DATABASE_URL"]
    engine = create_async_engine(url)
    async with engine.connect() as connection:
        await connection.run_sync(run)
        await connection.commit()
    await engine.dispose()


asyncio.run(connect_and_run())
