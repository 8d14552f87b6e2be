from collections.abc import AsyncIterator

import pytest

from tests.support.gateway import FrontEnd, RunningGateway, gateway_settings, running_gateway
from tests.support.media import Running, media_settings, running_media_service
from tests.support.people import Person, new_person
from tests.support.servers import Servers
from tests.support.user import Running as RunningUser
from tests.support.user import running_user_service, user_settings
from tests.support.videos import Videos, faults, running_videos


@pytest.fixture(scope="package")
async def media(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    """The service on a database and a folder of its own, for the whole session: tests make their own files."""
    settings = media_settings(servers.create_database("media"), servers, tmp_path_factory.mktemp("media"))
    async with running_media_service(settings) as running:
        yield running


@pytest.fixture(scope="package")
async def user(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningUser]:
    settings = user_settings(servers.create_database("media_user"), servers, tmp_path_factory.mktemp("user"))
    async with running_user_service(settings) as running:
        yield running


@pytest.fixture(scope="package")
async def gateway(servers: Servers, user: RunningUser, media: Running) -> AsyncIterator[RunningGateway]:
    """Without limits, and in front of no more than users and files."""
    targets = {"HITOK_USER_TARGET": user.target, "HITOK_MEDIA_TARGET": media.target, "HITOK_VAR": media.settings.var}
    async with running_gateway(gateway_settings(servers, **targets)) as running:
        yield running


@pytest.fixture
def visitor(gateway: RunningGateway) -> FrontEnd:
    return FrontEnd(gateway.http)


@pytest.fixture(scope="package")
async def alice(gateway: RunningGateway, user: RunningUser) -> Person:
    return await new_person(FrontEnd(gateway.http), user)


@pytest.fixture(scope="package")
async def bob(gateway: RunningGateway, user: RunningUser) -> Person:
    return await new_person(FrontEnd(gateway.http), user)


@pytest.fixture(scope="package")
async def _videos(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Videos]:
    """As `media`, for tests of videos: no references but those of real videos."""
    settings = media_settings(servers.create_database("videos"), servers, tmp_path_factory.mktemp("videos"))
    async with running_videos(settings) as running:
        yield running


@pytest.fixture
async def videos(_videos: Videos) -> AsyncIterator[Videos]:
    """After each test every counter equals its rows, whatever raced."""
    yield _videos
    assert not await faults(_videos)


@pytest.fixture(scope="package")
async def local(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    """A service whose sweeps and jobs the tests do themselves."""
    folder = tmp_path_factory.mktemp("local")
    settings = media_settings(servers.create_database("media_local"), servers, folder, HITOK_SWEEP_GRACE_SECONDS="1")
    async with running_media_service(settings, background=False) as running:
        yield running
