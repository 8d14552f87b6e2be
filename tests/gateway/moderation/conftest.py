from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.gateway.moderation.town import Town
    from tests.support.servers import Servers


@pytest.fixture(scope="package")
async def town(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Town]:
    from tests.gateway.moderation.town import running_town

    async with running_town(servers, tmp_path_factory.mktemp("town")) as running:
        yield running
