"""Which side of a friendship agreed to it, who has to be asked again, and what users set about being added.

Friendships by request were agreed to by both. One that was added was agreed to by the adder alone, whose row has the
lower id: both rows were written by one statement, the adder's first (friendships.py). The event tells the services
that keep a copy, which took both sides for agreed.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

AGREE = """UPDATE friendship AS one SET agreed = true WHERE source = 0 OR EXISTS (SELECT FROM friendship AS other
 WHERE other.user_id = one.friend_id AND other.friend_id = one.user_id AND other.id > one.id)"""
ANNOUNCE = """INSERT INTO outbox (subject, aggregate, data) SELECT 'events.social.friend.agreed',
 'pair:' || least(user_id, friend_id) || ':' || greatest(user_id, friend_id),
 json_build_object('actor_id', user_id::text, 'user_id', friend_id::text, 'agreed', false)
 FROM friendship WHERE NOT agreed ORDER BY id"""


def upgrade() -> None:
    op.add_column("friendship", sa.Column("agreed", sa.Boolean, nullable=False, server_default=sa.false()))
    op.execute(AGREE)
    op.execute(ANNOUNCE)
    op.create_table(
        "refusal",
        sa.Column("user_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("peer_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
    )
    op.create_index("refusal_peer", "refusal", ["peer_id"])
    op.create_table(
        "contact_settings",
        sa.Column("user_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("who_may_add", sa.SmallInteger, nullable=False, server_default="0"),
    )
