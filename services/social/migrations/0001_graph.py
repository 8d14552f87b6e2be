"""Friendships, friend requests, blocks, groups, members, applications, invitations and the event tables."""

import sqlalchemy as sa
from alembic import op

from services.kit.migrate import create_event_tables

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

NOW = sa.func.now()
IS_PENDING = sa.text("result = 0")


def number(name: str, required: bool = True) -> sa.Column:  # type: ignore[type-arg]
    return sa.Column(name, sa.BigInteger, nullable=not required)


def words(name: str, default: str | None = None) -> sa.Column:  # type: ignore[type-arg]
    return sa.Column(name, sa.Text, nullable=False, server_default=default)


def moment(name: str, required: bool = False) -> sa.Column:  # type: ignore[type-arg]
    return sa.Column(name, sa.DateTime(timezone=True), nullable=not required, server_default=NOW if required else None)


def request_columns() -> list[sa.Column]:  # type: ignore[type-arg]
    return [
        words("message"),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("result", sa.SmallInteger, nullable=False, server_default="0"),
        moment("handled_at"),
        sa.Column("hidden", sa.Boolean, nullable=False, server_default=sa.false()),
    ]


def upgrade() -> None:
    create_friend_tables()
    create_group_tables()
    create_event_tables()


def create_friend_tables() -> None:
    op.create_table(
        "friendship",
        sa.Column("id", sa.BigInteger, primary_key=True),
        number("user_id"),
        number("friend_id"),
        words("remark", ""),
        sa.Column("source", sa.SmallInteger, nullable=False),
        moment("created_at", required=True),
    )
    op.create_index("friendship_pair", "friendship", ["user_id", "friend_id"], unique=True)
    op.create_index("friendship_list", "friendship", ["user_id", "id"])
    op.create_table(
        "friend_request",
        sa.Column("id", sa.BigInteger, primary_key=True),
        number("from_id"),
        number("to_id"),
        *request_columns(),
    )
    op.create_index(
        "friend_request_pending", "friend_request", ["from_id", "to_id"], unique=True, postgresql_where=IS_PENDING
    )
    op.create_index("friend_request_from", "friend_request", ["from_id", "result", "id"])
    op.create_index("friend_request_to", "friend_request", ["to_id", "result", "id"])
    op.create_table(
        "block",
        sa.Column("id", sa.BigInteger, primary_key=True),
        number("user_id"),
        number("blocked_id"),
        moment("created_at", required=True),
    )
    op.create_index("block_pair", "block", ["user_id", "blocked_id"], unique=True)
    op.create_index("block_list", "block", ["user_id", "id"])
    op.create_index("block_blocked", "block", ["blocked_id"])


def create_group_tables() -> None:
    op.create_table(
        "group",
        sa.Column("id", sa.BigInteger, primary_key=True),
        words("name"),
        sa.Column("name_key", sa.Text(collation="C"), nullable=False),
        words("icon", ""),
        words("description", ""),
        number("owner_id"),
        sa.Column("approval", sa.Boolean, nullable=False),
        words("announcement", ""),
        number("announced_by", required=False),
        sa.Column("member_count", sa.BigInteger, nullable=False, server_default="0"),
        moment("created_at", required=True),
        moment("updated_at", required=True),
        moment("dismissed_at"),
    )
    is_live = sa.text("dismissed_at IS NULL")
    op.create_index("group_search", "group", ["name_key", "id"], postgresql_where=is_live)
    op.create_table(
        "member",
        sa.Column("id", sa.BigInteger, primary_key=True),
        sa.Column("group_id", sa.BigInteger, sa.ForeignKey("group.id"), nullable=False),
        number("user_id"),
        sa.Column("role", sa.SmallInteger, nullable=False),
        number("inviter_id", required=False),
        moment("joined_at", required=True),
    )
    op.create_index("member_pair", "member", ["group_id", "user_id"], unique=True)
    op.create_index("member_order", "member", ["group_id", sa.text("(- role)"), "id"])
    op.create_index("member_groups", "member", ["user_id", "id"])
    op.create_table(
        "join_request",
        sa.Column("id", sa.BigInteger, primary_key=True),
        sa.Column("group_id", sa.BigInteger, sa.ForeignKey("group.id"), nullable=False),
        number("user_id"),
        number("inviter_id", required=False),
        number("handler_id", required=False),
        *request_columns(),
    )
    op.create_index(
        "join_request_pending", "join_request", ["group_id", "user_id"], unique=True, postgresql_where=IS_PENDING
    )
    op.create_index("join_request_group", "join_request", ["group_id", "result", "id"])
    op.create_index("join_request_user", "join_request", ["user_id", "result", "id"])
    op.create_table(
        "invitation",
        sa.Column("group_id", sa.BigInteger, sa.ForeignKey("group.id"), primary_key=True),
        sa.Column("user_id", sa.BigInteger, primary_key=True),
        sa.Column("inviter_id", sa.BigInteger, primary_key=True),
        moment("created_at", required=True),
    )
    op.create_index("invitation_user", "invitation", ["user_id"])
    op.create_index("invitation_inviter", "invitation", ["inviter_id"])
