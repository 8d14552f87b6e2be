"""Message requests, and an index to find who blocked a user. Conversations that exist are open already."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("conversation_member", sa.Column("request", sa.SmallInteger, nullable=False, server_default="0"))
    op.create_index("block_blocked", "block", ["blocked_id"])
