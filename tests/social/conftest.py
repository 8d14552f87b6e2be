from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.support.servers import Servers
    from tests.support.social import Running


@pytest.fixture(scope="package")
async def _social(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    """The service on a database of its own, for the whole session: tests make their own users and groups."""
    from tests.support.social import running_social_service, social_settings

    settings = social_settings(servers.create_database("social"), servers, tmp_path_factory.mktemp("social"))
    async with running_social_service(settings) as running:
        yield running


@pytest.fixture(scope="package")
async def small(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    """A service whose limits are all three."""
    from tests.support.social import running_social_service, social_settings

    limits = {
        f"HITOK_SOCIAL_MAX_{what}": "3" for what in ("FRIENDS", "FRIEND_REQUESTS", "GROUPS", "MEMBERS", "FOLLOWED")
    }
    url, folder = servers.create_database("small"), tmp_path_factory.mktemp("small")
    async with running_social_service(social_settings(url, servers, folder, **limits)) as running:
        yield running


@pytest.fixture
async def social(_social: Running) -> AsyncIterator[Running]:
    """Checks after each test that friendships are pairs and that groups count their members."""
    from tests.support.social import faults

    yield _social
    assert not await faults(_social)
