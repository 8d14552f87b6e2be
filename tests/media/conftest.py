from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.support.gateway import FrontEnd, RunningGateway
    from tests.support.media import Running
    from tests.support.people import Person
    from tests.support.servers import Servers
    from tests.support.user import Running as RunningUser
    from tests.support.videos import Videos


@pytest.fixture(scope="package")
async def media(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    """The service on its own database and folder, for the whole session. Tests create their own files."""
    from tests.support.media import media_settings, running_media_service

    settings = media_settings(servers.create_database("media"), servers, tmp_path_factory.mktemp("media"))
    async with running_media_service(settings) as running:
        yield running


@pytest.fixture(scope="package")
async def user(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningUser]:
    from tests.support.user import running_user_service, user_settings

    settings = user_settings(servers.create_database("media_user"), servers, tmp_path_factory.mktemp("user"))
    async with running_user_service(settings) as running:
        yield running


@pytest.fixture(scope="package")
async def gateway(servers: Servers, user: RunningUser, media: Running) -> AsyncIterator[RunningGateway]:
    """Without limits, in front of users and files only."""
    from tests.support.gateway import gateway_settings, running_gateway

    targets = {"HITOK_USER_TARGET": user.target, "HITOK_MEDIA_TARGET": media.target, "HITOK_VAR": media.settings.var}
    async with running_gateway(gateway_settings(servers, **targets)) as running:
        yield running


@pytest.fixture
def visitor(gateway: RunningGateway) -> FrontEnd:
    from tests.support.gateway import FrontEnd

    return FrontEnd(gateway.http)


@pytest.fixture(scope="package")
async def alice(gateway: RunningGateway, user: RunningUser) -> Person:
    from tests.support.gateway import FrontEnd
    from tests.support.people import new_person

    return await new_person(FrontEnd(gateway.http), user)


@pytest.fixture(scope="package")
async def bob(gateway: RunningGateway, user: RunningUser) -> Person:
    from tests.support.gateway import FrontEnd
    from tests.support.people import new_person

    return await new_person(FrontEnd(gateway.http), user)


@pytest.fixture(scope="package")
async def _videos(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Videos]:
    """As `media`, for tests of videos: no references but those of real videos."""
    from tests.support.media import media_settings
    from tests.support.videos import running_videos

    settings = media_settings(servers.create_database("videos"), servers, tmp_path_factory.mktemp("videos"))
    async with running_videos(settings) as running:
        yield running


@pytest.fixture
async def videos(_videos: Videos) -> AsyncIterator[Videos]:
    """Checks after each test that every counter equals its rows."""
    from tests.support.videos import faults

    yield _videos
    assert not await faults(_videos)


@pytest.fixture(scope="package")
async def local(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    """A service whose sweeps and jobs the tests run themselves."""
    from tests.support.media import media_settings, running_media_service

    folder = tmp_path_factory.mktemp("local")
    settings = media_settings(servers.create_database("media_local"), servers, folder, HITOK_SWEEP_GRACE_SECONDS="1")
    async with running_media_service(settings, background=False) as running:
        yield running
