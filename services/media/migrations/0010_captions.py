"""Captions of videos."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "caption",
        sa.Column("video_id", sa.BigInteger, sa.ForeignKey("video.id"), primary_key=True),
        sa.Column("language", sa.Text, primary_key=True),
        sa.Column("label", sa.Text, nullable=False),
        sa.Column("object_hash", sa.Text, nullable=False),
        sa.Column("segments_hash", sa.Text, nullable=False),
        sa.Column("playlist_hash", sa.Text, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
    )
    op.add_column("video", sa.Column("captioned_hls", sa.Text))
