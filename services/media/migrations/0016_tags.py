"""Tags of videos, and whom videos and comments mention. maintenance/search_words.py reads the tags of older videos."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("video", sa.Column("tags", ARRAY(sa.Text), nullable=False, server_default="{}"))
    op.add_column("video", sa.Column("mentions", JSONB, nullable=False, server_default="{}"))
    op.add_column("video", sa.Column("mentions_told", ARRAY(sa.BigInteger), nullable=False, server_default="{}"))
    op.add_column("comment", sa.Column("mentions", JSONB, nullable=False, server_default="{}"))
    op.create_index("video_untagged", "video", ["id"], postgresql_where=sa.text("words_version < 2"))
    op.create_table(
        "video_tag",
        sa.Column("video_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("owner_id", sa.BigInteger, nullable=False),
        sa.Column("visibility", sa.SmallInteger, nullable=False),
        sa.Column("day", sa.Date, nullable=False),
    )
    shown, other = sa.text("visibility = 0"), sa.text("visibility <> 0")
    op.create_index("video_tag_public", "video_tag", ["name", "video_id"], postgresql_where=shown)
    op.create_index("video_tag_other", "video_tag", ["name", "owner_id", "video_id"], postgresql_where=other)
    op.create_index("video_tag_day", "video_tag", ["name", "day", "owner_id"], postgresql_where=shown)
    op.create_table(
        "tag",
        sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("video_count", sa.BigInteger, nullable=False, server_default="0"),
    )
    op.create_index("tag_name", "tag", ["name"], unique=True, postgresql_ops={"name": "text_pattern_ops"})
    op.create_index("tag_popular", "tag", ["video_count"])
    op.create_table(
        "tag_day",
        sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("day", sa.Date, nullable=False),
        sa.Column("authors", sa.BigInteger, nullable=False, server_default="0"),
    )
    op.create_index("tag_day_name", "tag_day", ["name", "day"], unique=True)
    op.create_index("tag_day_top", "tag_day", ["day", "authors"])
