"""Accounts, sessions, role changes and the event tables."""

import sqlalchemy as sa
from alembic import op

from services.kit.migrate import create_event_tables

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

NOW = sa.func.now()


def moment(name: str, required: bool = False) -> sa.Column:  # type: ignore[type-arg]
    return sa.Column(name, sa.DateTime(timezone=True), nullable=not required, server_default=NOW if required else None)


def upgrade() -> None:
    op.create_table(
        "account",
        sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("username", sa.Text, nullable=False),
        sa.Column("username_key", sa.Text, nullable=False, unique=True),
        sa.Column("nickname", sa.Text, nullable=False),
        sa.Column("avatar", sa.Text, nullable=False, server_default=""),
        sa.Column("bio", sa.Text, nullable=False, server_default=""),
        sa.Column("sex", sa.SmallInteger, nullable=False, server_default="0"),
        sa.Column("email", sa.Text, unique=True),
        sa.Column("phone", sa.Text, unique=True),
        sa.Column("password_hash", sa.Text, nullable=False),
        sa.Column("role", sa.SmallInteger, nullable=False, server_default="0"),
        sa.Column("role_set_by_admin", sa.Boolean, nullable=False, server_default=sa.false()),
        moment("created_at", required=True),
        moment("updated_at", required=True),
        moment("login_at"),
        moment("heartbeat_at"),
        moment("logout_at"),
        sa.Column("is_logout", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("client_ip", sa.Text, nullable=False, server_default=""),
        sa.Column("client_port", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("device", sa.Text, nullable=False, server_default=""),
        moment("disabled_at"),
        moment("deleted_at"),
    )
    op.create_table(
        "session",
        sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("user_id", sa.BigInteger, sa.ForeignKey("account.id"), nullable=False),
        sa.Column("device", sa.Text, nullable=False),
        sa.Column("ip", sa.Text, nullable=False),
        moment("created_at", required=True),
        moment("last_seen_at", required=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        moment("revoked_at"),
    )
    op.create_index("session_live", "session", ["user_id", "id"], postgresql_where=sa.text("revoked_at IS NULL"))
    op.create_index("session_expiry", "session", ["expires_at"])
    op.create_table(
        "role_change",
        sa.Column("id", sa.BigInteger, primary_key=True),
        sa.Column("user_id", sa.BigInteger, sa.ForeignKey("account.id"), nullable=False, index=True),
        sa.Column("by_user_id", sa.BigInteger),
        sa.Column("old_role", sa.SmallInteger, nullable=False),
        sa.Column("new_role", sa.SmallInteger, nullable=False),
        moment("changed_at", required=True),
    )
    op.execute(sa.schema.CreateSequence(sa.Sequence("id_node")))
    create_event_tables()
