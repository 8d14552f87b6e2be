"""Copies of the social service's mutes, for notifications."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "mute",
        sa.Column("user_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("muted_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("event_id", sa.BigInteger, nullable=False),
        sa.Column("muted", sa.Boolean, nullable=False),
    )
    op.create_index("mute_muted", "mute", ["muted_id"])
    op.create_table(
        "muted_words",
        sa.Column("user_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("words", sa.ARRAY(sa.Text), nullable=False),
        sa.Column("event_id", sa.BigInteger, nullable=False),
    )
