"""Search by username prefix, and whether one is found by phone and email."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name in ("searchable_by_phone", "searchable_by_email"):
        op.add_column("account", sa.Column(name, sa.Boolean, nullable=False, server_default=sa.false()))
    # text_pattern_ops would find the prefix too, but not give the order that pages need.
    op.create_index(
        "account_search",
        "account",
        [sa.text('username_key COLLATE "C"')],
        postgresql_where=sa.text("deleted_at IS NULL AND disabled_at IS NULL"),
    )
