"""Which refresh token of a session counts, where a client asked for a new one."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("session", sa.Column("refresh_id", sa.Text))
    op.add_column("session", sa.Column("previous_refresh_id", sa.Text))
    op.add_column("session", sa.Column("refreshed_at", sa.DateTime(timezone=True)))
