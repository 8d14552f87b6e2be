from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
import structlog

if TYPE_CHECKING:
    from tests.support.chat import Running
    from tests.support.servers import Servers
    from tests.support.social import Running as Social


@pytest.fixture(scope="package", autouse=True)
def quiet() -> Iterator[None]:
    """Logs warnings only: writing two lines per RPC takes longer than the RPC."""
    before = structlog.get_config()["wrapper_class"]
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    yield
    structlog.configure(wrapper_class=before)


@pytest.fixture(scope="package")
async def no_events(servers: Servers) -> None:
    """Empties the stream: events of other suites name groups by ids that this suite will use."""
    from nats import connect
    from nats.js.errors import NotFoundError

    from services.kit.events.stream import STREAM

    nats = await connect(servers.nats_url)
    try:
        with suppress(NotFoundError):
            await nats.jetstream(timeout=5).purge_stream(STREAM)
    finally:
        await nats.close()


@pytest.fixture(scope="package")
async def social(servers: Servers, no_events: None, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Social]:
    """The social service that decides who may write. Tests create their own users and groups."""
    from tests.support.social import running_social_service, social_settings

    settings = social_settings(servers.create_database("graph"), servers, tmp_path_factory.mktemp("graph"))
    async with running_social_service(settings) as running:
        yield running


@pytest.fixture(scope="package")
async def _chat(servers: Servers, social: Social, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    from tests.support.chat import chat_settings, running_chat_service

    url, folder = servers.create_database("chat"), tmp_path_factory.mktemp("chat")
    async with running_chat_service(chat_settings(url, servers, folder, social.target)) as running:
        yield running


@pytest.fixture
async def chat(_chat: Running) -> AsyncIterator[Running]:
    """Checks after each test that there is no gap and no wrong count."""
    from tests.support.chat import faults

    yield _chat
    assert not await faults(_chat)
