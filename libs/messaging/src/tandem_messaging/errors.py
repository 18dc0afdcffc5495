"""The errors that decide what happens to a message.

    TandemError
    ├── PermanentError          trying again cannot help: explained once, then over
    └── TransientError          waiting helps: held and tried again, never counted as a failure
        ├── LaterError              for so long that the message is given back meanwhile
        ├── DatabaseUnavailableError
        ├── BrokerUnavailableError
        └── TopologyMissingError    topic or subscription unknown (an emulator that restarted empty)

Services derive their own errors from the two bases; the same two decide an HTTP status there.
"""

from typing import ClassVar


class TandemError(Exception):
    """Root of every error that code may expect; anything else is a defect."""


class PermanentError(TandemError):
    """Trying again cannot help. `code` is what its dead letter is filed under."""

    code: ClassVar[str] = "permanent"


class TransientError(TandemError):
    """Waiting helps. `retry_after` is the shortest sensible wait in seconds, where it is known."""

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class LaterError(TransientError):
    """The message need not be held: it is to be delivered again after `retry_after` seconds."""


class DatabaseUnavailableError(TransientError):
    """The database is away, locked for too long or out of room; a statement that is wrong is no such case."""


class BrokerUnavailableError(TransientError):
    """Pub/Sub did not answer, or not in time."""


class TopologyMissingError(TransientError):
    """The topic or subscription does not exist."""
