"""Feedback's tables. A change here needs a migration in `services/feedback/migrations`; a test compares the two."""

from sqlalchemy import Column, Index, Integer, LargeBinary, MetaData, String, Table, Text

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
    Column("batch_id", String(128), index=True),
    # Empty in rows from before there were deadlines: those wait for ever.
    Column("deadline_at", UtcDateTime),
    Column("retry_at", UtcDateTime),
    Column("webhook_url", Text),
    Index(None, "state", "touched_at"),
    Index(None, "state", "deadline_at"),
    Index(None, "received_at", "request_id"),
)

# No foreign keys: SQLite's way to alter a table is to drop it, which would take along what refers to it.
# The audit trail: written in the transaction of the change that it tells of, and never changed.
job_changes = Table(
    "job_changes",
    metadata,
    Column("request_id", String(128), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("state", String(16), nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("detail", Text, nullable=False),
)

# Requests that were called off before they came.
cancellations = Table(
    "cancellations",
    metadata,
    Column("request_id", String(128), primary_key=True),
    Column("asked_at", UtcDateTime, nullable=False, index=True),
)

dead_letters = Table(
    "dead_letters",
    metadata,
    Column("id", String(32), primary_key=True),
    # The same death may be told twice: by a publish that was repeated, or by Pub/Sub itself.
    Column("death", String(255), nullable=False, unique=True),
    Column("state", String(16), nullable=False),
    Column("code", String(64), nullable=False),
    Column("reason", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("origin", String(255), nullable=False),
    Column("request_id", String(128), index=True),
    Column("data", LargeBinary, nullable=False),
    Column("attributes", Text, nullable=False),
    Column("died_at", UtcDateTime, nullable=False),
    Column("replays", Integer, nullable=False),
    Column("replayed_at", UtcDateTime),
    Column("edited_at", UtcDateTime),
    Index(None, "died_at", "id"),
)

webhook_deliveries = Table(
    "webhook_deliveries",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("request_id", String(128), nullable=False, index=True),
    Column("url", Text, nullable=False),
    Column("event_type", String(64), nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("state", String(16), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("due_at", UtcDateTime, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Index(None, "state", "due_at"),
)

webhook_attempts = Table(
    "webhook_attempts",
    metadata,
    Column("delivery_id", String(32), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("at", UtcDateTime, nullable=False),
    Column("status", Integer),
    Column("detail", Text, nullable=False),
)

outbox = outbox_table(metadata)

# Re-runs of stored conversations. Their jobs name the batch; `cursor` is the last conversation that was handed to the queue.
batches = Table(
    "batches",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("definition", Text, nullable=False),
    Column("state", String(16), nullable=False, index=True),
    Column("total", Integer, nullable=False),
    Column("cursor", String(128), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
)

# What people think of a conversation, one score per person.
human_scores = Table(
    "human_scores",
    metadata,
    Column("conversation_id", String(128), primary_key=True),
    Column("rater", String(128), primary_key=True),
    Column("score", Integer, nullable=False),
    Column("comment", Text, nullable=False),
    Column("scored_at", UtcDateTime, nullable=False),
)
