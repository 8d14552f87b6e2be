"""Finds the notifications that quote what a user wrote in a request; a dismissed group's conversation has no title."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(
        "notification_quoted",
        "notification",
        [sa.text("(actor_ids[1])")],
        postgresql_where=sa.text("kind IN ('friend_request', 'group_request')"),
    )
    op.execute("UPDATE conversation SET title = '' WHERE dismissed_at IS NOT NULL")
