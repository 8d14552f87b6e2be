from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.support.servers import Servers
    from tests.support.user import Running


@pytest.fixture(scope="package")
async def user(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    """The user service on a database of its own, for the whole session: tests make their own users."""
    from tests.support.user import running_user_service, user_settings

    folder: Path = tmp_path_factory.mktemp("user")
    async with running_user_service(user_settings(servers.create_database("user"), servers, folder)) as running:
        yield running
