"""Opens the resources of the media service, and runs its relay and its metrics."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from services.kit import background
from services.kit.db import next_node, open_database
from services.kit.events.relay import relaying
from services.kit.ids import IdGenerator
from services.kit.nats import open_nats
from services.kit.redis import open_redis
from services.kit.schema import require_current
from services.media.config import SERVICE, MediaSettings
from services.media.maintenance.metrics import watch_media
from services.media.resources import Resources
from services.media.signing import Signer
from services.media.storage import open_storage

MIGRATIONS = Path(__file__).parent / "migrations"


@asynccontextmanager
async def open_service(settings: MediaSettings) -> AsyncIterator[Resources]:
    """Waits for Postgres; starts without Valkey and NATS, which may come and go. Raises ConfigError."""
    signer = Signer(settings.internal_secret, settings.signed_seconds)
    with open_storage(settings) as storage:
        async with (
            open_database(settings) as database,
            open_redis(settings.redis_url) as redis,
            open_nats(settings.nats_url, SERVICE) as nats,
        ):
            await require_current(database, MIGRATIONS)
            await storage.require_writable()
            async with database.transaction() as connection:
                new_id = IdGenerator(await next_node(connection))
            resources = Resources(settings, database, nats, redis, storage, signer, new_id)
            wakes = {"job": resources.job_ready, "deletion": resources.deletion_queued}  # migrations/0015_wake_ups.py
            async with (
                relaying(database, nats, SERVICE, settings.postgres_url, settings.outbox_days, **wakes),
                background.run(watch_media=lambda: watch_media(database, storage)),
            ):
                yield resources
