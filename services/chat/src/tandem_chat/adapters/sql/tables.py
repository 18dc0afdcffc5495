"""Chat's tables. A change here needs a migration in `services/chat/migrations`; a test compares the two."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from tandem_chat.domain.owner import LOCAL_OWNER
from tandem_chat.domain.persona import DEFAULT_PERSONA
from tandem_messaging.database import UtcDateTime
from tandem_messaging.inbox import inbox_table
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

conversations = Table(
    "conversations",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("title", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Column("owner", String(255), nullable=False, server_default=LOCAL_OWNER),
    Column("persona", String(64), nullable=False, server_default=DEFAULT_PERSONA),
    Index(None, "owner", "updated_at", "id"),
)

messages = Table(
    "messages",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("conversation_id", String(36), ForeignKey("conversations.id", ondelete="CASCADE"), nullable=False),
    Column("position", Integer, nullable=False),
    Column("role", String(16), nullable=False),
    Column("content", Text, nullable=False),
    Column("state", String(16), nullable=False, index=True),
    Column("created_at", UtcDateTime, nullable=False),
    Column("error_code", String(64)),
    Column("error_detail", Text),
    Column("stop_requested", Boolean, nullable=False, default=False),
    Column("leased_by", String(64)),
    Column("leased_until", UtcDateTime),
    Column("prompt_tokens", Integer),
    Column("completion_tokens", Integer),
    UniqueConstraint("conversation_id", "position"),
)

feedback = Table(
    "feedback",
    metadata,
    Column("id", String(128), primary_key=True),
    Column(
        "conversation_id",
        String(36),
        ForeignKey("conversations.id", ondelete="CASCADE"),
        nullable=False,
        index=True,
    ),
    Column("state", String(16), nullable=False),
    Column("requested_at", UtcDateTime, nullable=False),
    Column("finished_at", UtcDateTime),
    Column("result", Text),
    Column("error_code", String(64)),
    Column("error_detail", Text),
    # The event exactly as first announced, so that announcing it again cannot differ; dropped at the end.
    Column("request", Text),
    Column("announcements", Integer, nullable=False),
    Column("reannounce_at", UtcDateTime, index=True),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", String(16), primary_key=True),
    Column("owner", String(255), nullable=False, index=True),
    Column("label", Text, nullable=False),
    Column("secret_sha256", String(64), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime),
    Column("revoked_at", UtcDateTime),
)

# What limits look at. Kept apart from messages, so that deleting a conversation gives nothing back.
reply_starts = Table(
    "reply_starts",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("owner", String(255), nullable=False),
    Column("started_at", UtcDateTime, nullable=False),
    Index(None, "owner", "started_at"),
)

usage = Table(
    "usage",
    metadata,
    Column("owner", String(255), primary_key=True),
    Column("day", String(10), primary_key=True),
    Column("replies", Integer, nullable=False),
    Column("prompt_tokens", BigInteger, nullable=False),
    Column("completion_tokens", BigInteger, nullable=False),
)

outbox = outbox_table(metadata)
inbox = inbox_table(metadata)
