"""Profiles that moderators hide."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("account", sa.Column("profile_hidden_at", sa.DateTime(timezone=True)))
