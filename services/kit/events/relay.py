"""Publishes a service's outbox to the stream."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from typing import Any

import msgspec
import structlog
from nats.aio.client import Client as Nats
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from opentelemetry.trace import SpanKind
from prometheus_client import Counter
from psycopg import AsyncConnection as Listener
from psycopg import OperationalError as ListenerLost
from sqlalchemy import func, select, text, update

from services.kit import background, telemetry
from services.kit.db import Database
from services.kit.events.outbox import CHANNEL, OUTBOX
from services.kit.events.pruning import prune
from services.kit.events.queue_metrics import watch_outbox
from services.kit.events.stream import BATCH, LOST, POLL, PUBLISH_TIMEOUT, STREAM, ensure_stream
from services.kit.log import ThrottledWarning
from services.kit.nats import Event

RELAY_LOCK = 7_243_118_266  # advisory lock

RELAYED = Counter("hitok_events_relayed", "Events published to the stream")
log = structlog.get_logger("events")


@asynccontextmanager
async def relaying(
    database: Database, client: Nats, source: str, postgres_url: str, keep_days: int
) -> AsyncIterator[None]:
    """Relays the outbox of the service `source` while the block runs, and once more when the block ends.

    Published events are kept for `keep_days`.
    """
    relay = Relay(database, client, source)
    try:
        async with background.run(
            relay_outbox=relay.run,
            listen_outbox=lambda: _listen(postgres_url, relay.wake),
            watch_outbox=lambda: watch_outbox(database),
            prune_events=lambda: prune(database, keep_days),
        ):
            yield
    finally:
        with suppress(*LOST):  # unpublished events stay in the outbox for the next start
            await asyncio.wait_for(relay.drain(), PUBLISH_TIMEOUT)


async def _listen(url: str, wake: asyncio.Event) -> None:
    """Wakes the relay on each NOTIFY. While this connection is down, the relay polls."""
    while True:
        with suppress(ListenerLost):
            async with await Listener.connect(url, autocommit=True, connect_timeout=3) as connection:
                await connection.execute(f"LISTEN {CHANNEL}")
                wake.set()
                async for _ in connection.notifies():
                    wake.set()
        await asyncio.sleep(1)


class Relay:
    """Publishes the outbox in order. Of all relays on a database only one publishes at a time."""

    def __init__(self, database: Database, client: Nats, source: str) -> None:
        self._database, self._client, self._source = database, client, source
        self.wake = asyncio.Event()
        self._waits = ThrottledWarning(log, "relay waits")

    async def run(self) -> None:
        while True:
            background.come_round()
            try:
                await ensure_stream(self._jetstream())  # again after each failure: NATS may have lost its data
                while True:
                    self.wake.clear()
                    await self.drain()
                    with suppress(TimeoutError):
                        await asyncio.wait_for(self.wake.wait(), POLL)
            except LOST as error:
                self._waits(error)
                await asyncio.sleep(1)

    async def drain(self) -> None:
        """Publishes until nothing is left, or until another relay holds the lock."""
        while await self._publish_batch() == BATCH:
            pass

    async def _publish_batch(self) -> int:
        background.come_round()
        async with self._database.transaction() as connection:
            locked = await connection.execute(text("SELECT pg_try_advisory_xact_lock(:lock)"), {"lock": RELAY_LOCK})
            if not locked.scalar_one():
                return 0
            # Not `id > last`: ids are assigned before the commit, so a row that commits late would be skipped for good.
            unpublished = select(OUTBOX).where(OUTBOX.c.published_at.is_(None)).order_by(OUTBOX.c.id).limit(BATCH)
            rows = (await connection.execute(unpublished.with_for_update(skip_locked=True))).all()
            if not rows:
                return 0
            published = await self._publish(rows)
            mark = update(OUTBOX).where(OUTBOX.c.id.in_(published)).values(published_at=func.now())
            await connection.execute(mark)
        RELAYED.inc(len(published))
        if len(published) < len(rows):
            raise NatsError(f"{len(rows) - len(published)} events not published")
        return len(rows)

    async def _publish(self, rows: Iterable[Any]) -> list[int]:
        """Returns the ids of the events that the stream stored. Events of one aggregate are published in order."""
        by_aggregate: dict[str, list[Any]] = {}
        for row in rows:
            by_aggregate.setdefault(row.aggregate, []).append(row)
        done: list[int] = []

        async def publish(events: list[Any]) -> None:
            for row in events:
                event = Event(row.id, row.subject, row.aggregate, row.occurred_at.isoformat(), row.data)
                # A publish that timed out may still succeed. The message id, then the inbox, hide the repeat. The id
                # holds the time, since a new or restored database numbers its rows from 1 again.
                headers = {"Nats-Msg-Id": f"{self._source}:{row.id}:{event.occurred_at}"}
                with telemetry.following(f"publish {row.subject}", SpanKind.PRODUCER, {telemetry.TRACE: row.trace}):
                    headers |= telemetry.trace_headers()
                    body = msgspec.json.encode(event)
                    await self._jetstream().publish(row.subject, body, stream=STREAM, headers=headers)
                done.append(row.id)

        results = await asyncio.gather(*map(publish, by_aggregate.values()), return_exceptions=True)
        for error in {type(result): result for result in results if isinstance(result, BaseException)}.values():
            log.warning("publish failed", error=repr(error))
        return done

    def _jetstream(self) -> JetStreamContext:
        return self._client.jetstream(timeout=PUBLISH_TIMEOUT)
