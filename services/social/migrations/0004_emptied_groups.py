"""A dismissed group keeps an empty row."""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""UPDATE "group" SET name = '', name_key = '', icon = '', description = '', announcement = ''
        WHERE dismissed_at IS NOT NULL""")
