"""Second factors of logins, and their recovery codes."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "second_factor",
        sa.Column("user_id", sa.BigInteger, sa.ForeignKey("account.id"), primary_key=True, autoincrement=False),
        sa.Column("secret", sa.Text, nullable=False),
        sa.Column("turned_on_at", sa.DateTime(timezone=True)),
        sa.Column("last_step", sa.BigInteger, nullable=False, server_default="0"),
    )
    op.create_table(
        "recovery_code",
        sa.Column("user_id", sa.BigInteger, sa.ForeignKey("account.id"), primary_key=True, autoincrement=False),
        sa.Column("digest", sa.LargeBinary, primary_key=True),
    )
