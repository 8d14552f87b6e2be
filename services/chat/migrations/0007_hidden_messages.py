"""What moderators hide of messages, kept for the case that it is restored."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, TSVECTOR

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "hidden_message",
        sa.Column("conversation_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("sender_id", sa.BigInteger, nullable=False, index=True),
        sa.Column("event_id", sa.BigInteger, nullable=False),
        sa.Column("body", JSONB),
        sa.Column("size", sa.Integer, nullable=False),
        sa.Column("words", TSVECTOR, nullable=False),
        sa.Column("mentions", ARRAY(sa.BigInteger), nullable=False),
    )
