"""Devices that are pushed to while their user is away, what users want to be pushed, and the pushes that wait."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def _key(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, primary_key=True, autoincrement=False)


def _now(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now())


def upgrade() -> None:
    op.create_table(
        "push_device",
        _key("id"),
        sa.Column("user_id", sa.BigInteger, nullable=False),
        sa.Column("session_id", sa.BigInteger, nullable=False, unique=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("address", sa.Text, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False, unique=True),
        sa.Column("p256dh", sa.LargeBinary, nullable=False, server_default=sa.text("''")),
        sa.Column("auth", sa.LargeBinary, nullable=False, server_default=sa.text("''")),
        _now("created_at"),
    )
    op.create_index("push_device_user", "push_device", ["user_id"])
    op.create_table(
        "push_setting",
        _key("user_id"),
        sa.Column("content", sa.Boolean, nullable=False, server_default=sa.text("false")),
        sa.Column("quiet_from", sa.SmallInteger, nullable=False, server_default="0"),
        sa.Column("quiet_until", sa.SmallInteger, nullable=False, server_default="0"),
        sa.Column("time_zone", sa.Text, nullable=False, server_default="UTC"),
        sa.Column("muted_kinds", ARRAY(sa.Text), nullable=False, server_default="{}"),
    )
    op.create_table(
        "away_conversation",
        _key("conversation_id"),
        sa.Column("seen_seq", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("due_at", sa.DateTime(timezone=True)),
    )
    due = sa.text("due_at IS NOT NULL")
    op.create_index("away_conversation_due", "away_conversation", ["due_at"], postgresql_where=due)
    op.create_table(
        "away_push",
        sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
        sa.Column("device_id", sa.BigInteger, nullable=False),
        sa.Column("user_id", sa.BigInteger, nullable=False),
        sa.Column("topic", sa.Text, nullable=False),
        sa.Column("conversation_id", sa.BigInteger),
        sa.Column("first_seq", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("last_seq", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("notification_id", sa.BigInteger),
        _now("created_at"),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
        sa.Column("sending", sa.Boolean, nullable=False, server_default=sa.text("false")),
        sa.Column("done_at", sa.DateTime(timezone=True)),
    )
    waiting = sa.text("NOT sending AND done_at IS NULL")
    op.create_index("away_push_waiting", "away_push", ["device_id", "topic"], unique=True, postgresql_where=waiting)
    op.create_index("away_push_topic", "away_push", ["device_id", "topic"])
    op.create_index("away_push_due", "away_push", ["due_at"], postgresql_where=sa.text("done_at IS NULL"))
    op.create_index("away_push_user", "away_push", ["user_id"])
