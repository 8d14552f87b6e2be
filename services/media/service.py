"""What the media service holds while it runs."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from nats.aio.client import Client as Nats
from redis.asyncio import Redis

from services.kit.background import beside
from services.kit.db import Database, next_node, open_database
from services.kit.events import relaying
from services.kit.ids import IdGenerator
from services.kit.nats import open_nats
from services.kit.redis import open_redis
from services.kit.schema import require_current
from services.media.config import SERVICE, MediaSettings
from services.media.files.signing import Signer
from services.media.files.storage import Storage, open_storage
from services.media.maintenance.metrics import watch_media

MIGRATIONS = Path(__file__).parent / "migrations"


@dataclass(frozen=True, slots=True)
class Service:
    settings: MediaSettings
    database: Database
    nats: Nats
    redis: Redis
    storage: Storage
    signer: Signer
    new_id: IdGenerator
    job_ready: asyncio.Event = field(default_factory=asyncio.Event)  # wakes this process's workers


@asynccontextmanager
async def open_service(settings: MediaSettings) -> AsyncIterator[Service]:
    """Waits for Postgres; Valkey and NATS may come and go."""
    storage = open_storage(settings)
    signer = Signer(settings.internal_secret, settings.signed_seconds)
    async with (
        open_database(settings) as database,
        open_redis(settings.redis_url) as redis,
        open_nats(settings.nats_url, SERVICE) as nats,
    ):
        await require_current(database, MIGRATIONS)
        await storage.require_writable()
        async with database.transaction() as connection:
            new_id = IdGenerator(await next_node(connection))
        async with (
            relaying(database, nats, SERVICE, settings.postgres_url, settings.outbox_days),
            beside(watch_media(database, storage)),
        ):
            yield Service(settings, database, nats, redis, storage, signer, new_id)
