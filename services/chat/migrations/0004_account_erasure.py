"""Accounts whose messages are being erased, and an index to find the conversations that they had left before."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "leaver",
        sa.Column("user_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("conversation_id", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
    )
    op.create_index(
        "conversation_member_former",
        "conversation_member",
        ["user_id", "conversation_id"],
        postgresql_where=sa.text("left_at IS NOT NULL"),
    )
