"""Names that look like those of staff, and keys without what nobody sees.

A key that would collide stays as it was: both users keep their names, and neither form can be taken anew.
"""

import sqlalchemy as sa
from alembic import op

from services.user.identities.lookalikes import seen_key, skeleton

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

UNSEEN = (
    r"[\u034F\u061C\u115F\u1160\u17B4\u17B5\u180B-\u180F\u2800\u3164\uFE00-\uFE0F\uFFA0\uFFF0-\uFFF8"
    r"\U0001BCA0-\U0001BCA3\U0001D173-\U0001D17A\U000E0000-\U000E0FFF]|\s\s"
)


def upgrade() -> None:
    op.add_column("account", sa.Column("username_skeleton", sa.Text))
    op.create_index("account_staff", "account", ["username_skeleton"], postgresql_where=sa.text("role >= 3"))
    connection = op.get_bind()
    staff = connection.execute(sa.text("SELECT id, username FROM account WHERE role >= 3 AND deleted_at IS NULL"))
    for row in staff.all():
        set_skeleton = sa.text("UPDATE account SET username_skeleton = :skeleton WHERE id = :id")
        connection.execute(set_skeleton, {"id": row.id, "skeleton": skeleton(row.username)})
    unseen = sa.text("SELECT id, username_key FROM account WHERE username_key ~ :unseen AND deleted_at IS NULL")
    for row in connection.execute(unseen, {"unseen": UNSEEN}).all():
        set_key = sa.text(
            "UPDATE account SET username_key = :key WHERE id = :id AND :key <> ''"
            " AND NOT EXISTS (SELECT FROM account WHERE username_key = :key)"
        )
        connection.execute(set_key, {"id": row.id, "key": seen_key(row.username_key)})
