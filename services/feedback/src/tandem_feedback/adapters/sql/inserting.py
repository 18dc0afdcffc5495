"""Inserts a row unless its key is there, on SQLite and Postgres alike."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Column, Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession


async def insert_if_new(
    session: AsyncSession, table: Table, key: Column[Any], values: Mapping[str, Any]
) -> bool:
    """Return whether the row was inserted; False when a row with this unique `key` exists, which stays as it is."""
    insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    statement = insert(table).values(**values).on_conflict_do_nothing().returning(key)
    return (await session.execute(statement)).first() is not None
