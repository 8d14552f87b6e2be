"""Closed cases and entries of the audit by age, for their deletion."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    is_closed = sa.text("closed_at IS NOT NULL")
    op.create_index("moderation_case_age", "moderation_case", ["closed_at"], postgresql_where=is_closed)
    op.create_index("audit_age", "audit", ["at"])
