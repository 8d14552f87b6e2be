"""How far two users had read when one blocked the other: both go on being shown that, and nothing newer."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("block", sa.Column("positions", JSONB, nullable=False, server_default="{}"))
