"""The trace that an event belongs to."""

from services.kit.migrate import add_event_trace

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    add_event_trace()
