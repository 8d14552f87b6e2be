"""Decisions of moderators that were taken back, and all cases of a subject."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("moderation_act", sa.Column("reversed_at", sa.DateTime(timezone=True)))
    op.add_column("moderation_act", sa.Column("reversed_by", sa.BigInteger))
    op.add_column("moderation_act", sa.Column("reversal_note", sa.Text, nullable=False, server_default=""))
    op.create_index("moderation_case_subject_all", "moderation_case", ["kind", "subject_id"])
