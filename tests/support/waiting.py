"""Waits for something to become true, with a deadline and a reason when it does not."""

import time
from collections.abc import Callable
from typing import TypeVar

import pytest

Found = TypeVar("Found")


def wait_until(what: str, look: Callable[[], Found], *, seconds: float = 40.0) -> Found:
    """Return the first true answer of `look`; fail the test, naming `what`, when none comes in time. Blocks."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if answer := look():
            return answer
        time.sleep(0.05)
    pytest.fail(f"waited {seconds:.0f} s in vain for: {what}", pytrace=False)
