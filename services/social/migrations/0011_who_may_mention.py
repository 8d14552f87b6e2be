"""Who may mention a user."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    column = sa.Column("who_may_mention", sa.SmallInteger, nullable=False, server_default="0")
    op.add_column("contact_settings", column)
