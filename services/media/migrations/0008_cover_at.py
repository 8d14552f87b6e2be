"""The time of a video, in milliseconds, whose picture its owner chose as the cover."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("video", sa.Column("cover_at", sa.BigInteger))
    op.create_index(
        "video_cover_at", "video", ["object_hash", "cover_at"], postgresql_where=sa.text("cover_at IS NOT NULL")
    )
