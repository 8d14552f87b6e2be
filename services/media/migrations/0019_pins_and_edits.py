"""Pinned videos and comments, who may comment, and edits of comments."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("video", sa.Column("who_may_comment", sa.SmallInteger, nullable=False, server_default="0"))
    op.add_column("video", sa.Column("pinned_at", sa.DateTime(timezone=True)))
    op.add_column("video", sa.Column("pinned_comment_id", sa.BigInteger))
    op.create_index("video_pinned", "video", ["owner_id"], postgresql_where=sa.text("pinned_at IS NOT NULL"))
    with_comment = sa.text("pinned_comment_id IS NOT NULL")
    op.create_index("video_pinned_comment", "video", ["owner_id"], postgresql_where=with_comment)
    op.add_column("comment", sa.Column("edited_at", sa.DateTime(timezone=True)))
    op.add_column("comment", sa.Column("mentions_told", ARRAY(sa.BigInteger), nullable=False, server_default="{}"))
    op.create_table(
        "comment_edit",
        sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
        sa.Column("comment_id", sa.BigInteger, sa.ForeignKey("comment.id"), nullable=False),
        sa.Column("content", sa.Text, nullable=False),
        sa.Column("replaced_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
    )
    op.create_index("comment_edit_comment", "comment_edit", ["comment_id", "id"])
