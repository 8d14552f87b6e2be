"""The age of the inbox's rows, by which they are deleted."""

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("inbox_handled", "inbox", ["handled_at"], if_not_exists=True)  # a new database has it
