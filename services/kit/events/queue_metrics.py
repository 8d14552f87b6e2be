"""Metrics of the events that wait in a service's outbox and before its consumers.

They are measured every few seconds instead of counted, so they are right while NATS is away or another replica works.
"""

import asyncio
from collections.abc import Awaitable, Callable

import structlog
from nats.aio.client import Client as Nats
from nats.errors import Error as NatsError
from prometheus_client import Gauge
from sqlalchemy import text
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from services.kit import background
from services.kit.db import Database

EVERY, AGAIN = 20.0, 2.0  # seconds between measurements, and after a failed one
TIMEOUT = 2.0  # seconds

OLDEST = Gauge("hitok_outbox_oldest_seconds", "Age of the oldest event not yet published")
POSTGRES_SEEN = Gauge("hitok_postgres_seen_timestamp_seconds", "When PostgreSQL last answered, Unix time")
PENDING = Gauge("hitok_consumer_pending", "Events that a consumer has not handled yet", ["consumer"])
DEAD = Gauge("hitok_dead_letters", "Events that a consumer gave up", ["consumer"])

# Each query reads a few index entries, whatever the table's size.
OLDEST_EVENT = text(
    "SELECT extract(epoch FROM now() - occurred_at) FROM outbox WHERE published_at IS NULL ORDER BY id LIMIT 1"
)
DEAD_LETTERS = text("SELECT count(*) FROM (SELECT FROM dead_letter WHERE consumer = :consumer LIMIT 10000) AS found")
AWAY = (OperationalError, InterfaceError, PoolTimeout, NatsError, OSError, TimeoutError)
log = structlog.get_logger("backlog")


async def watch(look: Callable[[], Awaitable[None]]) -> None:
    """Calls `look` until cancelled. If a server is away, the metrics keep their values."""
    while True:
        background.come_round()
        try:
            await look()
        except AWAY as error:
            log.debug("cannot look", error=repr(error)[:200])
            await asyncio.sleep(AGAIN)
        else:
            await asyncio.sleep(EVERY)


async def watch_outbox(database: Database) -> None:
    async def look() -> None:
        async with database.looking, database.reading() as connection:
            OLDEST.set((await connection.execute(OLDEST_EVENT)).scalar() or 0)
        POSTGRES_SEEN.set_to_current_time()

    await watch(look)


async def watch_consumer(database: Database, client: Nats, stream: str, consumer: str) -> None:
    async def look() -> None:
        async with database.looking, database.reading() as connection:
            DEAD.labels(consumer).set((await connection.execute(DEAD_LETTERS, {"consumer": consumer})).scalar_one())
        info = await client.jetstream(timeout=TIMEOUT).consumer_info(stream, consumer)
        PENDING.labels(consumer).set((info.num_pending or 0) + (info.num_ack_pending or 0))

    await watch(look)
