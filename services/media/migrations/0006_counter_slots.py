"""The slot of a public video is taken from its id's time: the bits of the node before put all videos into one slot.

While the release before still runs, it counts in other slots. Their sum, which is what anyone reads, stays right, and
the counter audit puts each slot right afterwards.
"""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("LOCK TABLE tally IN EXCLUSIVE MODE")  # waits for the writers, and holds the others back
    op.execute("""UPDATE tally SET public_count = (SELECT count(*) FROM video
        WHERE (id >> 22) % 16 = tally.slot AND visibility = 0 AND deleted_at IS NULL)""")
