"""Whom users follow, as the social service says, and how far they have seen the feed of those."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("standing", sa.Column("follows", sa.Boolean, nullable=False, server_default=sa.false()))
    op.add_column("standing", sa.Column("follows_event", sa.BigInteger, nullable=False, server_default="0"))
    op.create_index("standing_follows", "standing", ["user_id", "peer_id"], postgresql_where=sa.text("follows"))
    op.create_table(
        "following_seen",
        sa.Column("user_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("video_id", sa.BigInteger, nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
    )
