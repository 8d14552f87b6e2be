"""This process as if it had as many requests as it can serve."""

from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

from services.kit.overload.admission import HERE


@contextmanager
def overloaded(limit: float = 0.0) -> Iterator[None]:
    """With the given limit of requests, which stays."""
    with (
        patch.object(HERE, "_target", 60.0),
        patch.object(HERE, "limit", limit),
        patch.object(HERE, "adjust", lambda: None),
    ):
        yield
