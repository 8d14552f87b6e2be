from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.gateway.http.test_server import Connection


@pytest.fixture
async def connection(url: str) -> AsyncIterator[Connection]:
    """To the gateway of the module."""
    from tests.gateway.http.test_server import connect

    connection = await connect(url)
    yield connection
    await connection.close()
