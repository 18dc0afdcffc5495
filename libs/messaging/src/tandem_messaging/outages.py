"""Tells a database that is away from a statement that is wrong: the first is waited out, the second is a defect."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from tandem_messaging.errors import DatabaseUnavailableError

# Classes of SQLSTATE: connection lost, out of resources, operator intervention (a restart).
_OUTAGE_SQLSTATES = ("08", "53", "57")
_OUTAGE_SQLITE_CODES = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
    }
)
_RETRY_AFTER_SECONDS = 2.0


@contextmanager
def outages_explained() -> Iterator[None]:
    """Raise DatabaseUnavailableError in place of the drivers' many ways to say that they have no connection."""
    try:
        yield
    except (DBAPIError, PoolTimeoutError, OSError) as error:
        if isinstance(error, DBAPIError) and not _is_outage(error):
            raise
        reason = error.orig if isinstance(error, DBAPIError) else error
        raise DatabaseUnavailableError(
            f"the database cannot be used now: {reason}", retry_after=_RETRY_AFTER_SECONDS
        ) from error


def _is_outage(error: DBAPIError) -> bool:
    sqlstate = getattr(error.orig, "sqlstate", None) or ""
    # SQLite's extended codes keep the plain one in their lowest byte.
    sqlite_code = (getattr(error.orig, "sqlite_errorcode", None) or 0) & 0xFF
    return (
        error.connection_invalidated
        or sqlstate.startswith(_OUTAGE_SQLSTATES)
        or sqlite_code in _OUTAGE_SQLITE_CODES
    )
