"""Sessions that nobody has ended, by their expiry: they are ended then."""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    where = sa.text("revoked_at IS NULL")
    op.create_index("session_not_ended", "session", ["expires_at"], postgresql_where=where)
