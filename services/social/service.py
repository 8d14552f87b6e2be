"""Opens the resources of the social service: its database, NATS, and the relay of its events."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from nats.aio.client import Client as Nats

from services.kit.db import Database, open_database
from services.kit.events.relay import relaying
from services.kit.nats import open_nats
from services.kit.schema import require_current
from services.social.config import SERVICE, SocialSettings

MIGRATIONS = Path(__file__).parent / "migrations"


@dataclass(frozen=True, slots=True)
class Service:
    settings: SocialSettings
    database: Database
    nats: Nats


@asynccontextmanager
async def open_service(settings: SocialSettings) -> AsyncIterator[Service]:
    """Waits for Postgres; NATS may come and go."""
    async with open_database(settings) as database, open_nats(settings.nats_url, SERVICE) as nats:
        await require_current(database, MIGRATIONS)
        async with relaying(
            database, nats, SERVICE, settings.postgres_direct_url or settings.postgres_url, settings.outbox_days
        ):
            yield Service(settings, database, nats)
