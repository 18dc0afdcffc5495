"""Give conversations owners, and add API keys."""

import sqlalchemy as sa
from alembic import op
import tandem_messaging.database

revision = '0002'
down_revision = '0001'
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Not in batch mode: SQLite would make the table anew, and dropping the old one would delete all messages with it.
    op.add_column('conversations', sa.Column('owner', sa.String(length=255), server_default='local', nullable=False))
    op.drop_index(op.f('ix_conversations_updated_at_id'), table_name='conversations')
    op.create_index(op.f('ix_conversations_owner_updated_at_id'), 'conversations', ['owner', 'updated_at', 'id'], unique=False)
    op.create_table('api_keys',
    sa.Column('id', sa.String(length=16), nullable=False),
    sa.Column('owner', sa.String(length=255), nullable=False),
    sa.Column('label', sa.Text(), nullable=False),
    sa.Column('secret_sha256', sa.String(length=64), nullable=False),
    sa.Column('created_at', tandem_messaging.database.UtcDateTime(timezone=True), nullable=False),
    sa.Column('expires_at', tandem_messaging.database.UtcDateTime(timezone=True), nullable=True),
    sa.Column('revoked_at', tandem_messaging.database.UtcDateTime(timezone=True), nullable=True),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_api_keys'))
    )
    op.create_index(op.f('ix_api_keys_owner'), 'api_keys', ['owner'], unique=False)


def downgrade() -> None:
    op.drop_table('api_keys')
    op.drop_index(op.f('ix_conversations_owner_updated_at_id'), table_name='conversations')
    op.create_index(op.f('ix_conversations_updated_at_id'), 'conversations', ['updated_at', 'id'], unique=False)
    op.drop_column('conversations', 'owner')
