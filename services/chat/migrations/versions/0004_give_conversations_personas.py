"""Give conversations personas."""

import sqlalchemy as sa
from alembic import op

revision = '0004'
down_revision = '0003'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column('conversations', sa.Column('persona', sa.String(length=64), server_default='default', nullable=False))


def downgrade() -> None:
    op.drop_column('conversations', 'persona')
