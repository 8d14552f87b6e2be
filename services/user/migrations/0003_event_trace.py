"""The trace that an event belongs to."""

from services.kit.migrate import add_event_trace

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    add_event_trace()
