"""Known networks, the limit of wrong passwords, and replaced emails."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

NOW = sa.func.now()


def upgrade() -> None:
    op.create_table(
        "known_network",
        sa.Column("user_id", sa.BigInteger, sa.ForeignKey("account.id"), primary_key=True),
        sa.Column("network", sa.LargeBinary, primary_key=True),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False, server_default=NOW),
    )
    op.create_table(
        "password_guess",
        sa.Column("subject", sa.LargeBinary, primary_key=True),
        sa.Column("full_at", sa.DateTime(timezone=True), nullable=False, index=True),
    )
    op.create_table(
        "email_change",
        sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("user_id", sa.BigInteger, sa.ForeignKey("account.id"), nullable=False, index=True),
        sa.Column("old_email", sa.Text, nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False, server_default=NOW),
        sa.Column("next_try_at", sa.DateTime(timezone=True), server_default=NOW),
    )
    waiting = sa.text("next_try_at IS NOT NULL")
    op.create_index("email_change_waiting", "email_change", ["next_try_at"], postgresql_where=waiting)
