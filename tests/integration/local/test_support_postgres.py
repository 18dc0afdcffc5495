"""The Postgres fixture: each test gets an empty database of its own on a real server."""

import asyncpg

from tests.support.postgres import PostgresServer


async def test_a_database_takes_a_table_when_fresh(postgres_url: str) -> None:
    connection = await asyncpg.connect(postgres_url.replace("+asyncpg", ""))
    try:
        tables = await connection.fetch("SELECT 1 FROM pg_tables WHERE schemaname = 'public'")
        await connection.execute("CREATE TABLE notes (id int PRIMARY KEY)")
    finally:
        await connection.close()
    assert tables == []


def test_databases_are_separate_when_two_are_made(postgres_server: PostgresServer) -> None:
    first, second = postgres_server.create_database(), postgres_server.create_database()
    postgres_server.sql("CREATE TABLE only_here (id int)", database=first)
    try:
        found = postgres_server.sql(
            "SELECT count(*) FROM pg_tables WHERE tablename = 'only_here'", database=second
        )
        assert found == "0"
    finally:
        postgres_server.drop_database(first)
        postgres_server.drop_database(second)
