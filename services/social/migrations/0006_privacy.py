"""Who sees when a user is online, and when they last logged in. The defaults are those of who set nothing."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name, default in (("who_sees_presence", "0"), ("who_sees_last_login", "1")):
        op.add_column("contact_settings", sa.Column(name, sa.SmallInteger, nullable=False, server_default=default))
