"""What users watched, what they keep out of the feed made for them, and videos liked by the same users."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "watched_video",
        sa.Column("user_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("video_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("share", sa.SmallInteger, nullable=False),
        sa.Column("watched_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
    )
    op.create_index("watched_video_user", "watched_video", ["user_id", "watched_at"])
    op.create_table(
        "not_interested",
        sa.Column("user_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("video_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("owner_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("tag", sa.Text, primary_key=True),
        sa.Column("id", sa.BigInteger, sa.Identity(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
    )
    op.create_index("not_interested_user", "not_interested", ["user_id", "id"])
    op.create_table(
        "for_you_setting",
        sa.Column("user_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("chronological", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("reset_at", sa.DateTime(timezone=True)),
    )
    op.create_table(
        "near_videos",
        sa.Column("video_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("near_ids", ARRAY(sa.BigInteger), nullable=False),
        sa.Column("weights", ARRAY(sa.REAL), nullable=False),
        sa.Column("like_count", sa.BigInteger, nullable=False),
    )
