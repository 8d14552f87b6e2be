"""Words of messages without accents; those of older messages are made anew (search_words.py)."""

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE message ADD COLUMN words_version smallint NOT NULL DEFAULT 0")
    op.execute("ALTER TABLE message ALTER COLUMN words_version SET DEFAULT 1")
    op.execute("CREATE INDEX message_old_words ON message (conversation_id) WHERE words_version < 1")
