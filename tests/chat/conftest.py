import logging
from collections.abc import AsyncIterator, Iterator

import pytest
import structlog

from tests.support.chat import Running, chat_settings, faults, running_chat_service
from tests.support.servers import Servers
from tests.support.social import Running as Social
from tests.support.social import running_social_service, social_settings


@pytest.fixture(scope="package", autouse=True)
def quiet() -> Iterator[None]:
    """Two lines an RPC would take longer than the RPC."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    yield
    structlog.reset_defaults()


@pytest.fixture(scope="package")
async def social(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Social]:
    """The social service that says who may talk: tests make their own users and groups."""
    settings = social_settings(servers.create_database("graph"), servers, tmp_path_factory.mktemp("graph"))
    async with running_social_service(settings) as running:
        yield running


@pytest.fixture(scope="package")
async def _chat(servers: Servers, social: Social, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    url, folder = servers.create_database("chat"), tmp_path_factory.mktemp("chat")
    async with running_chat_service(chat_settings(url, servers, folder, social.target)) as running:
        yield running


@pytest.fixture
async def chat(_chat: Running) -> AsyncIterator[Running]:
    """After each test there is no gap and no wrong count, whatever raced."""
    yield _chat
    assert not await faults(_chat)
