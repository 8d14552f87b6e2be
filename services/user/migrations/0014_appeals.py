"""Appeals against acts of moderators."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "moderation_appeal",
        sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("act_id", sa.BigInteger, sa.ForeignKey("moderation_act.id"), nullable=False, unique=True),
        sa.Column("user_id", sa.BigInteger, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.Column("decided_at", sa.DateTime(timezone=True)),
        sa.Column("decided_by", sa.BigInteger),
        sa.Column("granted", sa.Boolean, nullable=False, server_default=sa.text("false")),
        sa.Column("answer", sa.Text, nullable=False, server_default=""),
    )
    for name, which in (("open", "decided_at IS NULL"), ("decided", "decided_at IS NOT NULL")):
        op.create_index(f"moderation_appeal_{name}", "moderation_appeal", ["id"], postgresql_where=sa.text(which))
    op.create_index("moderation_appeal_user", "moderation_appeal", ["user_id"])
