"""Words of videos without accents, with their places; maintenance/search_words.py makes older ones anew."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("video", sa.Column("words_version", sa.SmallInteger, nullable=False, server_default="0"))
    op.alter_column("video", "words_version", server_default="1")
    op.create_index("video_old_words", "video", ["id"], postgresql_where=sa.text("words_version < 1"))
