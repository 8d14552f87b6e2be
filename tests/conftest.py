from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.support.servers import Servers


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    """Real PostgreSQL, Valkey and NATS, each started when a test first needs it."""
    from tests.support.servers import Servers

    with Servers() as servers:
        yield servers
