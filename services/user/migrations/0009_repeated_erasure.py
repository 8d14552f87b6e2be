"""When the erasure of an account was announced again."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("account", sa.Column("erased_again_at", sa.DateTime(timezone=True)))
    op.create_index(
        "account_to_erase_again",
        "account",
        ["deleted_at"],
        postgresql_where=sa.text("deleted_at IS NOT NULL AND erased_again_at IS NULL"),
    )
