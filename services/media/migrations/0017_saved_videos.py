"""Videos that users save, in collections that they name."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "saved_video",
        sa.Column("user_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("video_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("id", sa.BigInteger, sa.Identity(), nullable=False),
        sa.Column("collection_id", sa.BigInteger),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
    )
    op.create_index("saved_video_user", "saved_video", ["user_id", "id"])
    inside = sa.text("collection_id IS NOT NULL")
    op.create_index("saved_video_collection", "saved_video", ["collection_id", "id"], postgresql_where=inside)
    op.create_table(
        "collection",
        sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
        sa.Column("user_id", sa.BigInteger, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
    )
    op.create_index("collection_name", "collection", ["user_id", "name"], unique=True)
