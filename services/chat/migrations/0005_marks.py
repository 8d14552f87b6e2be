"""What members set for conversations for themselves: hidden, pinned, muted; and how often each user changed it."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

MEMBER = "conversation_member"


def upgrade() -> None:
    op.add_column(MEMBER, sa.Column("hidden_seq", sa.BigInteger))
    for name in ("pinned", "muted"):
        op.add_column(MEMBER, sa.Column(name, sa.Boolean, nullable=False, server_default=sa.false()))
    op.add_column(MEMBER, sa.Column("muted_until", sa.DateTime(timezone=True)))
    op.add_column(MEMBER, sa.Column("marks_rev", sa.BigInteger, nullable=False, server_default="0"))
    marked = sa.text("marks_rev > 0")
    op.create_index("conversation_member_marks", MEMBER, ["user_id", "marks_rev"], postgresql_where=marked)
    op.create_table(
        "marks_rev",
        sa.Column("user_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("rev", sa.BigInteger, nullable=False),
    )
