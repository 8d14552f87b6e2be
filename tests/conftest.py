from collections.abc import Iterator

import pytest

from tests.support.servers import Servers


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    """Real PostgreSQL, Valkey and NATS, each started when first asked for."""
    with Servers() as servers:
        yield servers
