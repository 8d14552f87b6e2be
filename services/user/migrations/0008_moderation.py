"""Reports, the cases that they make, and what moderators do."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

NOW = sa.func.now()


def number(name: str, **options: Any) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=options.pop("nullable", False), **options)


def moment(name: str, **options: Any) -> sa.Column[Any]:
    return sa.Column(name, sa.DateTime(timezone=True), **options)


def upgrade() -> None:
    is_open, is_closed = sa.text("closed_at IS NULL"), sa.text("closed_at IS NOT NULL")
    op.create_table(
        "moderation_case",
        number("id", primary_key=True, autoincrement=False),
        sa.Column("kind", sa.SmallInteger, nullable=False),
        number("subject_id"),
        number("owner_id"),
        number("conversation_id", server_default="0"),
        number("seq", server_default="0"),
        sa.Column("snapshot", sa.Text, nullable=False),
        sa.Column("report_count", sa.Integer, nullable=False, server_default="0"),
        number("claimed_by", nullable=True),
        moment("claimed_until"),
        moment("created_at", nullable=False, server_default=NOW),
        moment("updated_at", nullable=False, server_default=NOW),
        moment("closed_at"),
        sa.Column("outcome", sa.Text, nullable=False, server_default=""),
    )
    op.create_index(
        "moderation_case_subject", "moderation_case", ["kind", "subject_id"], unique=True, postgresql_where=is_open
    )
    op.create_index("moderation_case_queue", "moderation_case", ["id"], postgresql_where=is_open)
    op.create_index("moderation_case_closed", "moderation_case", ["id"], postgresql_where=is_closed)
    op.create_index("moderation_case_owner", "moderation_case", ["owner_id", "id"])
    op.create_table(
        "moderation_report",
        number("id", primary_key=True, autoincrement=False),
        sa.Column("case_id", sa.BigInteger, sa.ForeignKey("moderation_case.id"), nullable=False),
        number("reporter_id"),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("snapshot", sa.Text, nullable=False, server_default=""),
        moment("created_at", nullable=False, server_default=NOW),
        sa.UniqueConstraint("case_id", "reporter_id", "reason"),
    )
    op.create_index("moderation_report_reporter", "moderation_report", ["reporter_id", "id"])
    op.create_table(
        "moderation_act",
        number("id", primary_key=True, autoincrement=False),
        sa.Column("case_id", sa.BigInteger, sa.ForeignKey("moderation_case.id"), nullable=False),
        sa.Column("verb", sa.Text, nullable=False),
        number("moderator_id", nullable=True),
        number("owner_id"),
        sa.Column("note", sa.Text, nullable=False),
        moment("created_at", nullable=False, server_default=NOW),
    )
    for name, column in (("case", "case_id"), ("owner", "owner_id"), ("moderator", "moderator_id")):
        op.create_index(f"moderation_act_{name}", "moderation_act", [column, "id"])
