"""What moderators hide."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table in ("video", "comment"):
        op.add_column(table, sa.Column("moderation_event", sa.BigInteger, nullable=False, server_default="0"))
    op.add_column("comment", sa.Column("hidden_at", sa.DateTime(timezone=True)))
    op.create_index("comment_hidden", "comment", ["user_id"], postgresql_where=sa.text("hidden_at IS NOT NULL"))
