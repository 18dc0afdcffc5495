"""The inbox lets each key have its effect once, also when two receivers meet."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import Table

from tandem_messaging.database import Database, database_now
from tandem_messaging.inbox import first_time, forget_older


async def seen_first(database: Database, inbox: Table, key: str) -> bool:
    async with database.write() as session:
        return await first_time(session, inbox, key)


async def test_key_is_new_once(database: Database, inbox: Table) -> None:
    answers = [await seen_first(database, inbox, key) for key in ("a", "b", "a", "a")]
    assert answers == [True, True, False, False]


async def test_one_of_many_receivers_is_first_when_they_come_at_once(
    database: Database, inbox: Table
) -> None:
    answers = await asyncio.gather(*[seen_first(database, inbox, "same") for _ in range(8)])
    assert sum(answers) == 1


async def test_key_is_new_again_when_its_effect_rolled_back(database: Database, inbox: Table) -> None:
    async def see_then_fail() -> None:
        async with database.write() as session:
            assert await first_time(session, inbox, "a")
            raise RuntimeError("no effect")

    with pytest.raises(RuntimeError, match="no effect"):
        await see_then_fail()
    assert await seen_first(database, inbox, "a")


async def test_only_old_keys_are_forgotten(database: Database, inbox: Table) -> None:
    await seen_first(database, inbox, "old")
    async with database.write() as session:
        await session.execute(inbox.update().values(seen_at=await database_now(session) - timedelta(days=9)))
    await seen_first(database, inbox, "young")
    async with database.write() as session:
        await forget_older(session, inbox, await database_now(session) - timedelta(days=8))
    assert not await seen_first(database, inbox, "young")
    assert await seen_first(database, inbox, "old")
