"""Count replies and tokens of owners."""

import sqlalchemy as sa
from alembic import op
import tandem_messaging.database

revision = '0003'
down_revision = '0002'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column('messages', sa.Column('prompt_tokens', sa.Integer(), nullable=True))
    op.add_column('messages', sa.Column('completion_tokens', sa.Integer(), nullable=True))
    op.create_table('reply_starts',
    sa.Column('id', sa.Integer(), autoincrement=True, nullable=False),
    sa.Column('owner', sa.String(length=255), nullable=False),
    sa.Column('started_at', tandem_messaging.database.UtcDateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_reply_starts'))
    )
    op.create_index(op.f('ix_reply_starts_owner_started_at'), 'reply_starts', ['owner', 'started_at'], unique=False)
    op.create_table('usage',
    sa.Column('owner', sa.String(length=255), nullable=False),
    sa.Column('day', sa.String(length=10), nullable=False),
    sa.Column('replies', sa.Integer(), nullable=False),
    sa.Column('prompt_tokens', sa.BigInteger(), nullable=False),
    sa.Column('completion_tokens', sa.BigInteger(), nullable=False),
    sa.PrimaryKeyConstraint('owner', 'day', name=op.f('pk_usage'))
    )


def downgrade() -> None:
    op.drop_table('usage')
    op.drop_table('reply_starts')
    op.drop_column('messages', 'completion_tokens')
    op.drop_column('messages', 'prompt_tokens')
