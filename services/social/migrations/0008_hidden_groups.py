"""Groups that moderators hide."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("group", sa.Column("hidden_at", sa.DateTime(timezone=True)))
    op.add_column("group", sa.Column("moderation_event", sa.BigInteger, nullable=False, server_default="0"))
