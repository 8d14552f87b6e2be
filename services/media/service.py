"""Opens the resources of the media service, and runs its relay and its metrics."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from services.kit import background
from services.kit.db import Database, next_node, open_database
from services.kit.events.relay import relaying
from services.kit.ids import IdGenerator
from services.kit.nats import open_nats
from services.kit.schema import require_current
from services.media.config import SERVICE, MediaSettings
from services.media.files.children.children import forking
from services.media.maintenance.metrics import watch_media
from services.media.resources import Resources
from services.media.signing import Signer
from services.media.storage import open_storage
from services.valkey.client import open_redis

LOCKS = 4  # connections for locks: the sweeper's, and those of pictures being made
MIGRATIONS = Path(__file__).parent / "migrations"


@asynccontextmanager
async def open_sessions(settings: MediaSettings, database: Database) -> AsyncIterator[Database]:
    """The database for locks of a session, which PgBouncer's transaction mode does not keep."""
    if not settings.postgres_direct_url:
        yield database
        return
    direct = Database(settings.postgres_direct_url, LOCKS)
    try:
        yield direct
    finally:
        direct.pool.close()


@asynccontextmanager
async def open_service(settings: MediaSettings) -> AsyncIterator[Resources]:
    """Waits for Postgres; starts without Valkey and NATS, which may come and go. Raises ConfigError."""
    signer = Signer(settings.internal_secret, settings.signed_seconds)
    with open_storage(settings) as storage:
        async with (
            open_database(settings) as database,
            open_sessions(settings, database) as sessions,
            open_redis(settings.redis_url) as redis,
            open_nats(settings.nats_url, SERVICE) as nats,
            forking(),
        ):
            await require_current(database, MIGRATIONS)
            await storage.require_writable()
            async with database.transaction() as connection:
                new_id = IdGenerator(await next_node(connection))
            resources = Resources(settings, database, sessions, nats, redis, storage, signer, new_id)
            wakes = {"job": resources.job_ready, "deletion": resources.deletion_queued}  # migrations/0015_wake_ups.py
            async with (
                relaying(
                    database,
                    nats,
                    SERVICE,
                    settings.postgres_direct_url or settings.postgres_url,
                    settings.outbox_days,
                    **wakes,
                ),
                background.run(watch_media=lambda: watch_media(database, storage)),
            ):
                yield resources
