"""Times as clients see them."""

from datetime import UTC, datetime
from functools import lru_cache


@lru_cache(16_384)  # half the cost of a page of users
def rfc3339(milliseconds: int) -> str:
    """Unix milliseconds as RFC 3339, in UTC, with milliseconds."""
    moment = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
