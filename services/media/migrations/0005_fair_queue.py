"""When a job was last begun, by which the queue is fair to those who wait in it."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("job", sa.Column("started_at", sa.DateTime(timezone=True)))
    op.create_index("job_started", "job", ["started_at"])
