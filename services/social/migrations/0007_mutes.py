"""Users and words that users muted."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "mute",
        sa.Column("id", sa.BigInteger, primary_key=True),
        sa.Column("user_id", sa.BigInteger, nullable=False),
        sa.Column("muted_id", sa.BigInteger, nullable=False),
        sa.Column("created_at", moment, nullable=False, server_default=sa.func.now()),
    )
    op.create_index("mute_pair", "mute", ["user_id", "muted_id"], unique=True)
    op.create_index("mute_list", "mute", ["user_id", "id"])
    op.create_index("mute_muted", "mute", ["muted_id"])
    op.create_table(
        "muted_word",
        sa.Column("user_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("word", sa.Text, primary_key=True),
        sa.Column("created_at", moment, nullable=False, server_default=sa.func.now()),
    )
