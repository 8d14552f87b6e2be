from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.chat.away.stage import Stage
    from tests.support.push_services import PushService
    from tests.support.servers import Servers
    from tests.support.social import Running as Social


@pytest.fixture(scope="package")
async def _push_service(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[PushService]:
    from tests.support.push_services import running_push_service

    async with running_push_service(tmp_path_factory.mktemp("push"), "http/1.1") as service:
        yield service


@pytest.fixture(scope="package")
async def _stage(
    servers: Servers, social: Social, _push_service: PushService, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Stage]:
    from tests.chat.away.stage import DELAY, on_stage
    from tests.support.chat import running_pair

    settings = {
        "HITOK_PUSH_VAPID_KEY": "3b" * 32,
        "HITOK_PUSH_CONTACT": "mailto:ops@example.com",
        "HITOK_PUSH_CA": _push_service.ca,
        "HITOK_PUSH_PORTS": str(_push_service.port),
        "HITOK_PUSH_PRIVATE_NETWORKS": "true",
        "HITOK_PUSH_DELAY_SECONDS": str(DELAY),
    }
    async with running_pair(servers, social, tmp_path_factory.mktemp("away"), "away", **settings) as chat:
        async with on_stage(chat, _push_service) as stage:
            yield stage


@pytest.fixture
async def stage(_stage: Stage) -> Stage:
    from tests.support.push_services import Answer

    _stage.service.answer = lambda request: Answer()
    return _stage
