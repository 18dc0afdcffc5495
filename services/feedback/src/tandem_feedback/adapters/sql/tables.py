"""Feedback's tables. A change here needs a migration in `services/feedback/migrations`; a test compares the two."""

from sqlalchemy import Column, Index, Integer, MetaData, String, Table, Text

from tandem_messaging.database import UtcDateTime
from tandem_messaging.outbox import outbox_table

# Named constraints can be dropped by a later migration on every database.
metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# The job row is the inbox: one per request id, whatever is delivered how often.
jobs = Table(
    "jobs",
    metadata,
    Column("request_id", String(128), primary_key=True),
    Column("conversation_id", String(128), nullable=False, index=True),
    Column("state", String(16), nullable=False),
    Column("request", Text, nullable=False),
    Column("body_hash", String(64), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("fence", Integer, nullable=False),
    Column("leased_by", String(64)),
    Column("leased_until", UtcDateTime),
    Column("received_at", UtcDateTime, nullable=False),
    Column("touched_at", UtcDateTime, nullable=False),
    Column("finished_at", UtcDateTime),
    Column("outcome_type", String(64)),
    Column("outcome", Text),
    Index(None, "state", "touched_at"),
)

outbox = outbox_table(metadata)
