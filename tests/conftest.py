from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
import structlog

if TYPE_CHECKING:
    from tests.support.servers import Servers

# Not to `sys.stdout`: what runs in the background would write into what a test reads of a command.
structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.__stderr__))


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    """Real PostgreSQL, Valkey and NATS, each started when a test first needs it."""
    from tests.support.servers import Servers

    with Servers() as servers:
        yield servers
