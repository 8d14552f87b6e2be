"""Videos that wait until they play, blurhashes, and what an upload must have to be kept."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

NOW = sa.func.now()


def upgrade() -> None:
    moment = sa.DateTime(timezone=True)
    op.add_column("object", sa.Column("blurhash", sa.Text, nullable=False, server_default=""))
    op.add_column("object", sa.Column("held_at", moment))
    # Nobody knows what messages and profiles show of the objects that are there already: all of them are kept.
    op.execute("UPDATE object SET held_at = now()")
    op.add_column("upload", sa.Column("renewed_at", moment, nullable=False, server_default=NOW))
    op.create_index("upload_age", "upload", ["renewed_at"])
    op.add_column("video", sa.Column("publish_as", sa.SmallInteger))
    op.create_index("video_waiting", "video", ["object_hash"], postgresql_where=sa.text("publish_as IS NOT NULL"))
