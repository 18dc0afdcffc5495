"""A dead letter: a message that could not be read or served, kept with why and where from until somebody looks at it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class LetterState(StrEnum):
    """What became of a dead letter."""

    DEAD = "dead"
    REPLAYED = "replayed"
    # The loop guard's mark: replaying it once more needs somebody who says so.
    DIED_AGAIN = "died_again"


@dataclass(frozen=True)
class Death:
    """A message's end, as the dead-letter topic tells it. `key` is the same each time it is told."""

    key: str
    code: str
    reason: str
    attempts: int
    origin: str
    request_id: str | None
    data: bytes
    attributes: Mapping[str, str]
    died_at: datetime | None
    replay_of: str | None


@dataclass(frozen=True)
class DeadLetter:
    """A death as it is kept; `attributes` are those that the message had in life."""

    id: str
    state: LetterState
    code: str
    reason: str
    attempts: int
    origin: str
    request_id: str | None
    data: bytes
    attributes: Mapping[str, str]
    died_at: datetime
    replays: int
    replayed_at: datetime | None
    edited_at: datetime | None


@dataclass(frozen=True)
class LetterFilter:
    """Which letters are meant; what is None does not matter."""

    code: str | None = None
    state: LetterState | None = None
    died_before: datetime | None = None
