"""Add batches and human scores."""

import sqlalchemy as sa
from alembic import op
import tandem_messaging.database

revision = '0003'
down_revision = '0002'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('batches',
    sa.Column('id', sa.String(length=64), nullable=False),
    sa.Column('definition', sa.Text(), nullable=False),
    sa.Column('state', sa.String(length=16), nullable=False),
    sa.Column('total', sa.Integer(), nullable=False),
    sa.Column('cursor', sa.String(length=128), nullable=False),
    sa.Column('created_at', tandem_messaging.database.UtcDateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_batches'))
    )
    with op.batch_alter_table('batches', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_batches_state'), ['state'], unique=False)

    op.create_table('human_scores',
    sa.Column('conversation_id', sa.String(length=128), nullable=False),
    sa.Column('rater', sa.String(length=128), nullable=False),
    sa.Column('score', sa.Integer(), nullable=False),
    sa.Column('comment', sa.Text(), nullable=False),
    sa.Column('scored_at', tandem_messaging.database.UtcDateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('conversation_id', 'rater', name=op.f('pk_human_scores'))
    )


def downgrade() -> None:
    op.drop_table('human_scores')
    with op.batch_alter_table('batches', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_batches_state'))

    op.drop_table('batches')
