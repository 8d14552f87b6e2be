from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import structlog

if TYPE_CHECKING:
    from deploy.local.servers.postgres import Postgres
    from services.kit.db import Database
    from services.user.config import UserSettings
    from tests.support.servers import Servers


@pytest.fixture(scope="package", autouse=True)
def plain_logs() -> None:
    """Turns structlog's own tracebacks off: each takes seconds to draw."""
    structlog.configure([structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)])


@pytest.fixture(scope="package")
def postgres_url(servers: Servers) -> str:
    """Of a database with the user service's schema, event tables included."""
    from services.kit import schema
    from services.user.service import MIGRATIONS

    url = servers.create_database("kit")
    schema.upgrade(url, MIGRATIONS)
    return url


@pytest.fixture
def settings(postgres_url: str, servers: Servers, tmp_path: Path) -> UserSettings:
    """Of a service whose event tables are empty."""
    import psycopg

    from tests.support.user import user_settings

    with psycopg.connect(postgres_url) as connection:
        connection.execute("TRUNCATE outbox, inbox, dead_letter")
    return user_settings(postgres_url, servers, tmp_path)


@pytest.fixture
def own_settings(settings: UserSettings) -> UserSettings:
    """Settings with ports for a process."""
    import msgspec

    from deploy.local.ports import find_free_port

    return msgspec.structs.replace(settings, grpc_port=find_free_port(), metrics_port=find_free_port())


@pytest.fixture
async def database(settings: UserSettings) -> AsyncIterator[Database]:
    from services.kit.db import open_database

    async with open_database(settings) as database:
        yield database


@pytest.fixture(scope="package")
def mortal_postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    from services.kit import schema
    from services.user.service import MIGRATIONS
    from tests.support.servers import private_postgres

    with private_postgres(tmp_path_factory.mktemp("mortal")) as server:
        schema.upgrade(server.url, MIGRATIONS)
        yield server


@pytest.fixture
def mortal_postgres(mortal_postgres_server: Postgres) -> Iterator[Postgres]:
    """A migrated server that the test may kill; it is running again for the next test."""
    yield mortal_postgres_server
    if mortal_postgres_server.pid is None:
        mortal_postgres_server.start()


@pytest.fixture
def mortal_settings(settings: UserSettings, mortal_postgres: Postgres) -> UserSettings:
    import msgspec

    return msgspec.structs.replace(settings, postgres_url=mortal_postgres.url)
