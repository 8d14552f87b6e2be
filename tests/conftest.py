from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
import structlog

if TYPE_CHECKING:
    from tests.support.servers import Servers

CHAOS = "HITOK_CHAOS_ROUNDS" in os.environ  # what happens between the faults would hide what `make chaos` prints
# Not to `sys.stdout`: what runs in the background would write into what a test reads of a command.
structlog.configure(
    logger_factory=structlog.PrintLoggerFactory(sys.__stderr__),
    wrapper_class=structlog.make_filtering_bound_logger("critical" if CHAOS else "notset"),
)


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    """Real PostgreSQL, Valkey and NATS, each started when a test first needs it."""
    from tests.support.servers import Servers

    with Servers() as servers:
        yield servers


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Prints what `make chaos` did and what came of it."""
    if CHAOS:
        from tests.e2e.chaos import table

        terminalreporter.write_line(table.show(terminalreporter.stats))
