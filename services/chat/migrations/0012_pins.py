"""Messages that are pinned for all members of a conversation."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("conversation", sa.Column("pins_rev", sa.BigInteger, nullable=False, server_default="0"))
    op.create_table(
        "pinned_message",
        sa.Column("conversation_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("pinned_by", sa.BigInteger, nullable=False, index=True),
        sa.Column("pinned_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
    )
