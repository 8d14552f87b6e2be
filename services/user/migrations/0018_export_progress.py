"""What an export holds, how far it is prepared and how much of it was downloaded. Links of before are ready."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

COUNTS = ("done", "total", "rows", "files", "bytes", "downloaded_bytes")


def upgrade() -> None:
    op.add_column("export_link", sa.Column("address", sa.Text, nullable=False, server_default=""))
    op.add_column("export_link", sa.Column("claimed_until", sa.DateTime(timezone=True)))
    op.add_column("export_link", sa.Column("ready_at", sa.DateTime(timezone=True), server_default=sa.func.now()))
    for name in COUNTS:
        op.add_column("export_link", sa.Column(name, sa.BigInteger, nullable=False, server_default="0"))
    op.add_column("export_link", sa.Column("downloaded_at", sa.DateTime(timezone=True)))
    waiting = sa.text("ready_at IS NULL")
    op.create_index("export_link_waiting", "export_link", ["requested_at"], postgresql_where=waiting)
    op.create_index("export_link_expiry", "export_link", ["expires_at"])
