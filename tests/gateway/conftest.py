from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.support.gateway import FrontEnd, RunningGateway
    from tests.support.servers import Servers
    from tests.support.social import Running as RunningSocial
    from tests.support.user import Running
    from tests.support.videos import Videos


@pytest.fixture(scope="package")
async def user(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    """A user service for the gateway's tests, which make their own users."""
    from tests.support.user import running_user_service, user_settings

    settings = user_settings(servers.create_database("gateway_user"), servers, tmp_path_factory.mktemp("user"))
    async with running_user_service(settings) as running:
        yield running


@pytest.fixture(scope="package")
async def social(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningSocial]:
    from tests.support.social import running_social_service, social_settings

    settings = social_settings(servers.create_database("gateway_social"), servers, tmp_path_factory.mktemp("social"))
    async with running_social_service(settings) as running:
        yield running


@pytest.fixture(scope="package")
async def gateway(servers: Servers, user: Running, social: RunningSocial) -> AsyncIterator[RunningGateway]:
    """Without limits."""
    from tests.support.gateway import gateway_settings, running_gateway

    # No chat service: not one that runs on this machine for another purpose either.
    targets = {"HITOK_USER_TARGET": user.target, "HITOK_SOCIAL_TARGET": social.target}
    settings = gateway_settings(servers, HITOK_CHAT_TARGET="127.0.0.1:1", **targets)
    async with running_gateway(settings) as running:
        yield running


@pytest.fixture
def visitor(gateway: RunningGateway) -> FrontEnd:
    from tests.support.gateway import FrontEnd

    return FrontEnd(gateway.http)


@pytest.fixture(scope="package")
async def media(
    servers: Servers, tmp_path_factory: pytest.TempPathFactory, social: RunningSocial
) -> AsyncIterator[Videos]:
    """It follows `social`: the only one of the session that hears events."""
    from services.media.consumer import consuming
    from tests.support.media import media_settings
    from tests.support.videos import faults, running_videos

    settings = media_settings(servers.create_database("gateway_media"), servers, tmp_path_factory.mktemp("media"))
    async with running_videos(settings) as running, consuming(running.service):
        yield running
        assert not await faults(running)


@pytest.fixture(scope="package")
async def video_gateway(
    servers: Servers, user: Running, social: RunningSocial, media: Videos
) -> AsyncIterator[RunningGateway]:
    """As `gateway`, with media behind it."""
    from tests.support.gateway import gateway_settings, running_gateway

    targets = {"USER": user.target, "SOCIAL": social.target, "MEDIA": media.target}
    named = {f"HITOK_{name}_TARGET": target for name, target in targets.items()}
    async with running_gateway(gateway_settings(servers, HITOK_VAR=media.settings.var, **named)) as running:
        yield running
