"""Who follows whom, how many, and whether a user accepts followers one by one."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "follow",
        sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
        sa.Column("user_id", sa.BigInteger, nullable=False),
        sa.Column("followed_id", sa.BigInteger, nullable=False),
        sa.Column("pending", sa.Boolean, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
    )
    follows, asks = sa.text("NOT pending"), sa.text("pending")
    op.create_index("follow_pair", "follow", ["user_id", "followed_id"], unique=True)
    op.create_index("follow_following", "follow", ["user_id", "id"], postgresql_where=follows)
    op.create_index("follow_followers", "follow", ["followed_id", "id"], postgresql_where=follows)
    op.create_index("follow_requests", "follow", ["followed_id", "id"], postgresql_where=asks)
    op.create_table(
        "follow_count",
        sa.Column("user_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("followers", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("following", sa.BigInteger, nullable=False, server_default="0"),
    )
    op.add_column("contact_settings", sa.Column("who_may_follow", sa.SmallInteger, nullable=False, server_default="0"))
