"""Waits, inside an event loop, for something to become true: polls with a deadline and tells what never came."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest

Found = TypeVar("Found")


async def eventually(what: str, look: Callable[[], Found], *, seconds: float = 30.0) -> Found:
    """Return the first true answer of `look`; fail the test, naming `what`, when none comes in time."""

    async def looking() -> Found:
        return look()

    return await eventually_awaited(what, looking, seconds=seconds)


async def eventually_awaited(
    what: str, look: Callable[[], Awaitable[Found]], *, seconds: float = 30.0
) -> Found:
    """Do the same with a `look` that has to be awaited."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if answer := await look():
            return answer
        await asyncio.sleep(0.01)
    pytest.fail(f"waited {seconds:.0f} s in vain for: {what}", pytrace=False)
