"""Gives the tests of this folder a feedback database of each kind."""

from collections.abc import AsyncIterator

import pytest

from tests.support.databases import database_url
from tests.support.feedback_bench import FeedbackBench, open_bench

__all__ = ["database_url"]


@pytest.fixture
async def bench(database_url: str) -> AsyncIterator[FeedbackBench]:
    async with open_bench(database_url) as bench:
        yield bench
