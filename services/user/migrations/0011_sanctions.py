"""Suspended and banned accounts."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("account", sa.Column("suspended_until", sa.DateTime(timezone=True)))
    op.add_column("account", sa.Column("banned_at", sa.DateTime(timezone=True)))
    op.add_column("moderation_act", sa.Column("until", sa.DateTime(timezone=True)))
    standing = sa.text("verb IN ('suspend', 'ban') AND reversed_at IS NULL")
    op.create_index("moderation_act_sanction", "moderation_act", ["owner_id"], postgresql_where=standing)
