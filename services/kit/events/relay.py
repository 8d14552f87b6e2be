"""Publishes a service's outbox to the stream."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

import msgspec
import structlog
from nats.aio.client import Client as Nats
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from opentelemetry.trace import SpanKind
from prometheus_client import Counter
from psycopg import AsyncConnection as Listener
from psycopg import OperationalError as ListenerLost
from psycopg.generators import notifies
from sqlalchemy import text

from services.kit import background, telemetry
from services.kit.db import Database
from services.kit.events.outbox import CHANNEL
from services.kit.events.pruning import prune
from services.kit.events.publishing import Outgoing, StreamPublisher
from services.kit.events.queue_metrics import watch_outbox
from services.kit.events.recovery import NotStored, StreamWatch
from services.kit.events.stream import BATCH, LOST, POLL, PUBLISH_TIMEOUT, ensure_stream
from services.kit.log import ThrottledWarning

RELAY_LOCK = 7_243_118_266  # advisory lock
LOOK, MAX_LAG = 60.0, 1.0  # seconds
ASKED, PAUSE = "beat.ask.all", 0.5  # seconds after a beat in which no other is sent: several gateways may ask
GATHER = 0.01  # seconds for which events gather after some were published; an event after a quiet time does not wait

# Not `id > last`: ids are assigned before the commit, so a row that commits late would be skipped for good. Rows that
# another relay has published since the statement began are skipped, as they are looked at again when they are locked.
UNPUBLISHED = text("""SELECT id, subject, aggregate, data::text AS data, occurred_at, trace FROM outbox
 WHERE published_at IS NULL AND (SELECT pg_try_advisory_xact_lock(:lock))
 ORDER BY id LIMIT :batch FOR UPDATE SKIP LOCKED""")
MARK = text("UPDATE outbox SET published_at = now() WHERE id = ANY(CAST(:ids AS bigint[]))")

RELAYED = Counter("hitok_events_relayed", "Events published to the stream")
log = structlog.get_logger("events")


@asynccontextmanager
async def relaying(
    database: Database, client: Nats, source: str, postgres_url: str, keep_days: int, **wakes: asyncio.Event
) -> AsyncIterator[None]:
    """Relays the outbox of the service `source` while the block runs, and once more when the block ends.

    Published events are kept for `keep_days`. `wakes`: what to set on a NOTIFY of other channels, by channel.
    """
    relay = Relay(database, client, source)
    try:
        async with background.run(
            relay_outbox=relay.run,
            listen_outbox=lambda: _listen(postgres_url, wakes | {CHANNEL: relay.wake}, relay),
            beat_outbox=relay.beat,
            watch_outbox=lambda: watch_outbox(database),
            prune_events=lambda: prune(database, keep_days),
        ):
            yield
    finally:
        with suppress(*LOST):  # unpublished events stay in the outbox for the next start
            await asyncio.wait_for(relay.drain(), PUBLISH_TIMEOUT)


async def _listen(url: str, wakes: dict[str, asyncio.Event], relay: "Relay") -> None:
    """Sets the event of each NOTIFY's channel. While this connection is down, those who wait for them poll."""
    while True:
        with suppress(ListenerLost):
            async with await Listener.connect(url, autocommit=True, connect_timeout=3) as connection:
                await connection.execute("; ".join(f"LISTEN {channel}" for channel in wakes))
                relay.is_told, channels = True, set(wakes)
                while True:  # `Listener.notifies` would look ten times a second
                    for channel in channels:
                        wakes[channel].set()
                    notes = await connection.wait(notifies(connection.pgconn), interval=LOOK)
                    channels = {note.relname.decode() for note in notes}
        relay.is_told = False
        await asyncio.sleep(1)


class Relay:
    """Publishes the outbox in order. Of all relays on a database only one publishes at a time."""

    def __init__(self, database: Database, client: Nats, source: str) -> None:
        self._database, self._client, self._source = database, client, source
        self._stream = StreamPublisher(client)
        self.wake, self.is_told, self._is_idle = asyncio.Event(), False, False
        self._drained_at = self._beat_at = 0.0
        self._watch = StreamWatch(database, client)
        self._waits = ThrottledWarning(log, "relay waits")

    async def run(self) -> None:
        while True:
            background.come_round()
            try:
                await ensure_stream(self._client)  # again after each failure: NATS may have lost its data
                while True:
                    self.wake.clear()
                    await self._watch.repeat_lost()
                    if await self.drain():
                        await asyncio.sleep(GATHER)
                    self._watch.works()
                    self._is_idle = True
                    with suppress(TimeoutError):
                        await asyncio.wait_for(self.wake.wait(), POLL)
                    self._is_idle = False
            except LOST as error:
                self._waits(error)
                with suppress(*LOST):
                    await self._watch.fails(error)
                await asyncio.sleep(1)

    async def beat(self) -> None:
        """Tells those who live on events, and ask every second, that they have all but those of the last MAX_LAG."""
        while not self._client.is_connected:  # noqa: ASYNC110 (the client has no event for it)
            await asyncio.sleep(0.1)
        await self._client.subscribe(ASKED, cb=self._beat)  # the client renews it when it reconnects

    async def _beat(self, _: Msg) -> None:
        now = asyncio.get_running_loop().time()
        if self.is_told and now - self._beat_at > PAUSE and (self._is_idle or now - self._drained_at < MAX_LAG):
            self._beat_at = now
            await self._client.publish(f"beat.{self._source}")

    async def drain(self) -> int:
        """Publishes until nothing is left, or until another relay holds the lock; returns the number of events."""
        count = last = await self._publish_batch()
        while last == BATCH:
            last = await self._publish_batch()
            count += last
        self._drained_at = asyncio.get_running_loop().time()
        return count

    async def _publish_batch(self) -> int:
        background.come_round()
        async with self._database.transaction() as connection:
            rows = (await connection.execute(UNPUBLISHED, {"lock": RELAY_LOCK, "batch": BATCH})).all()
            if not rows:
                return 0
            published = await self._publish(rows)
            await connection.execute(MARK, {"ids": published})
        RELAYED.inc(len(published))
        if not published and self._client.is_connected:
            raise NotStored(f"{len(rows)} events not stored")
        if len(published) < len(rows):
            raise NatsError(f"{len(rows) - len(published)} events not published")
        return len(rows)

    async def _publish(self, rows: Sequence[Any]) -> list[int]:
        """Returns the ids of the events that the stream has, but of none behind a failed one of its aggregate."""
        failures = await self._stream.publish([self._pack(row) for row in rows])
        done: list[int] = []
        failed: dict[str, str] = {}  # by aggregate
        for row, failure in zip(rows, failures, strict=True):
            if failure or row.aggregate in failed:
                failed.setdefault(row.aggregate, failure)
            else:
                done.append(row.id)
        for reason in set(failed.values()):
            log.warning("publish failed", error=reason)
        return done

    def _pack(self, row: Any) -> Outgoing:
        event = {"id": row.id, "subject": row.subject, "aggregate": row.aggregate}
        event |= {"occurred_at": row.occurred_at.isoformat(), "data": msgspec.Raw(row.data.encode())}
        # A publish that timed out may still succeed. The message id, then the inbox, hide the repeat. The id
        # holds the time, since a new or restored database numbers its rows from 1 again.
        headers = {"Nats-Msg-Id": f"{self._source}:{row.id}:{event['occurred_at']}"}
        with telemetry.following(f"publish {row.subject}", SpanKind.PRODUCER, {telemetry.TRACE: row.trace}):
            return Outgoing(row.subject, msgspec.json.encode(event), headers | telemetry.trace_headers())
