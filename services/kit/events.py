"""Domain events: written in the transaction that made them true, relayed to JetStream, handled once.

Subjects are `events.<service>.<noun>.<verb>`. Delivery is at least once and in order per aggregate; the
inbox hides repeats. A gateway that only wants to drop a cache entry may listen with a plain subscription.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from typing import Any

import msgspec
import structlog
from nats.aio.client import Client as Nats
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.api import ConsumerConfig, RetentionPolicy, StorageType, StreamConfig
from nats.js.errors import BadRequestError
from opentelemetry.trace import SpanKind
from prometheus_client import Counter
from psycopg import AsyncConnection as Listener
from psycopg import OperationalError as ListenerLost
from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Index,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    func,
    insert,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from services.kit import background, telemetry
from services.kit.db import Database
from services.kit.errors import Unavailable
from services.kit.interceptors import as_hitok_error
from services.kit.log import Complaint
from services.kit.nats import Event
from services.kit.queue_metrics import watch_consumer, watch_outbox

STREAM = "EVENTS"
RELAY_LOCK = 7_243_118_266
BATCH = 200
PUBLISH_TIMEOUT = 2.0  # seconds
POLL = 5.0  # seconds between looks at the outbox when no NOTIFY came
MAX_DELIVERIES = 5
RETRY_DELAY = 1.0  # seconds before a failed event comes again
CHANNEL = "outbox"  # the outbox's insert trigger notifies it
LOST = (SQLAlchemyError, NatsError, OSError, TimeoutError)  # Postgres or NATS, or a free connection to them

RELAYED = Counter("hitok_events_relayed", "Events published to the stream")
HANDLED = Counter("hitok_events_handled", "Events handled", ["consumer", "outcome"])

log = structlog.get_logger("events")


def event_tables(metadata: MetaData) -> tuple[Table, Table, Table]:
    """The outbox, inbox and dead_letter tables each service keeps in its own database."""
    outbox = Table(
        "outbox",
        metadata,
        Column("id", BigInteger, primary_key=True, autoincrement=True),
        Column("subject", Text, nullable=False),
        Column("aggregate", Text, nullable=False),
        Column("data", JSONB, nullable=False),
        Column("occurred_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
        Column("published_at", DateTime(timezone=True)),
        Column("trace", Text, default=lambda: telemetry.here() or None),
        Index("outbox_unpublished", "id", postgresql_where=text("published_at IS NULL")),
        Index("outbox_published", "published_at", postgresql_where=text("published_at IS NOT NULL")),
    )
    inbox = Table(
        "inbox",
        metadata,
        Column("consumer", Text, primary_key=True),
        Column("event", Text, primary_key=True),
        Column("handled_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    )
    dead_letter = Table(
        "dead_letter",
        metadata,
        Column("id", BigInteger, primary_key=True, autoincrement=True),
        Column("consumer", Text, nullable=False),
        Column("event", Text, nullable=False),
        Column("subject", Text, nullable=False),
        Column("data", Text, nullable=False),
        Column("error", Text, nullable=False),
        Column("died_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
        UniqueConstraint("consumer", "event"),
    )
    return outbox, inbox, dead_letter


_outbox, _inbox, _dead_letter = event_tables(MetaData())


async def emit(connection: AsyncConnection, subject: str, aggregate: str, **data: Any) -> None:
    """Writes an event in the caller's transaction. Hold the aggregate's row lock: it makes the order."""
    await connection.execute(insert(_outbox).values(subject=f"events.{subject}", aggregate=aggregate, data=data))


async def ensure_stream(jetstream: JetStreamContext) -> None:
    """Creates the stream, or leaves the one that is there as its operator set it."""
    with suppress(BadRequestError):  # exists, with other settings
        await jetstream.add_stream(
            StreamConfig(
                name=STREAM,
                subjects=["events.>"],
                retention=RetentionPolicy.LIMITS,
                storage=StorageType.FILE,
                max_age=7 * 86_400,
                duplicate_window=120,
            )
        )


@asynccontextmanager
async def relaying(
    database: Database, client: Nats, source: str, postgres_url: str, keep_days: int
) -> AsyncIterator[None]:
    """Relays `source`'s outbox while the block runs, and what is left of it when the block ends."""
    relay = Relay(database, client, source, keep_days)
    try:
        async with background.run(
            relay_outbox=relay.run,
            listen_outbox=lambda: _listen(postgres_url, relay.wake),
            watch_outbox=lambda: watch_outbox(database),
        ):
            yield
    finally:
        with suppress(*LOST):  # it stays in the outbox for the next start
            await asyncio.wait_for(relay.drain(), PUBLISH_TIMEOUT)


async def _listen(url: str, wake: asyncio.Event) -> None:
    """Wakes the relay on each NOTIFY; without a connection the relay's poll goes on."""
    while True:
        with suppress(ListenerLost):
            async with await Listener.connect(url, autocommit=True, connect_timeout=3) as connection:
                await connection.execute(f"LISTEN {CHANNEL}")
                wake.set()
                async for _ in connection.notifies():
                    wake.set()
        await asyncio.sleep(1)


class Relay:
    """Publishes the outbox in order. Of many relays on one database one works at a time, which keeps the order."""

    def __init__(self, database: Database, client: Nats, source: str, keep_days: int) -> None:
        self._database, self._client, self._source, self._keep_days = database, client, source, keep_days
        self.wake = asyncio.Event()
        self._waits = Complaint(log, "relay waits")

    async def run(self) -> None:
        while True:
            try:
                await ensure_stream(self._jetstream())  # after each failure: NATS may have lost its data
                while True:
                    self.wake.clear()
                    await self.drain()
                    try:
                        await asyncio.wait_for(self.wake.wait(), POLL)
                    except TimeoutError:
                        await self._sweep()  # a quiet moment
            except LOST as error:
                self._waits(error)
                await asyncio.sleep(1)

    async def drain(self) -> None:
        """Publishes until nothing is left, or another relay is at it."""
        while await self._publish_batch() == BATCH:
            pass

    async def _publish_batch(self) -> int:
        async with self._database.transaction() as connection:
            locked = await connection.execute(text("SELECT pg_try_advisory_xact_lock(:lock)"), {"lock": RELAY_LOCK})
            if not locked.scalar_one():
                return 0
            # Not `id > last`: ids are drawn before they commit, and a late one would be passed over for good.
            unpublished = select(_outbox).where(_outbox.c.published_at.is_(None)).order_by(_outbox.c.id).limit(BATCH)
            rows = (await connection.execute(unpublished.with_for_update(skip_locked=True))).all()
            if not rows:
                return 0
            published = await self._publish(rows)
            mark = update(_outbox).where(_outbox.c.id.in_(published)).values(published_at=func.now())
            await connection.execute(mark)
        RELAYED.inc(len(published))
        if len(published) < len(rows):
            raise NatsError(f"{len(rows) - len(published)} events not published")
        return len(rows)

    async def _publish(self, rows: Iterable[Any]) -> list[int]:
        """The ids that the stream took. Aggregates go side by side, the events of one in turn."""
        by_aggregate: dict[str, list[Any]] = {}
        for row in rows:
            by_aggregate.setdefault(row.aggregate, []).append(row)
        done: list[int] = []

        async def publish(events: list[Any]) -> None:
            for row in events:
                event = Event(row.id, row.subject, row.aggregate, row.occurred_at.isoformat(), row.data)
                # A publish that timed out may still land; the message id, then the inbox, hide the repeat. With the
                # time, as a database that was made anew or put back counts its rows again.
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

    async def _sweep(self) -> None:
        async with self._database.transaction() as connection:
            await connection.execute(
                text("DELETE FROM outbox WHERE published_at < now() - make_interval(days => :days)"),
                {"days": self._keep_days},
            )


Handler = Callable[[AsyncConnection, Event], Awaitable[None]]


async def consume(database: Database, client: Nats, consumer: str, subjects: list[str], handler: Handler) -> None:
    """Handles each event once, for ever: inbox row and handler's writes commit together, then the ack.

    After MAX_DELIVERIES failures an event goes to the dead_letter table. Any number of processes may share
    the durable `consumer`.
    """
    for outcome in ("done", "repeated", "failed", "dead"):
        HANDLED.labels(consumer, outcome)
    async with background.run(watch_consumer=lambda: watch_consumer(database, client, STREAM, consumer)):
        await _consume(database, client, consumer, subjects, handler)


async def _consume(database: Database, client: Nats, consumer: str, subjects: list[str], handler: Handler) -> None:
    waits = Complaint(log, "consumer waits", consumer=consumer)
    config = ConsumerConfig(durable_name=consumer, filter_subjects=subjects, ack_wait=30, max_ack_pending=BATCH)
    while True:
        try:
            jetstream = client.jetstream(timeout=PUBLISH_TIMEOUT)
            await ensure_stream(jetstream)
            await jetstream.add_consumer(STREAM, config)  # also updates the subjects that an earlier version listed
            subscription = await jetstream.pull_subscribe("", durable=consumer, stream=STREAM, config=config)
            messages: list[Msg] = []
            try:
                while True:
                    with suppress(TimeoutError):
                        messages = await subscription.fetch(BATCH, timeout=POLL)
                    while messages:
                        name = f"handle {messages[0].subject}"
                        with telemetry.following(name, SpanKind.CONSUMER, messages[0].headers):
                            await _handle(database, consumer, handler, messages[0])
                        del messages[0]
            finally:
                # Else what is fetched, or still comes to this subscription, would be lost to all for `ack_wait`.
                with suppress(NatsError):
                    await subscription.unsubscribe()
                    for message in messages:
                        await message.nak()
        except LOST as error:
            waits(error)
            await asyncio.sleep(1)


async def _handle(database: Database, consumer: str, handler: Handler, message: Msg) -> None:
    key = (message.headers or {}).get("Nats-Msg-Id") or f"{STREAM}:{message.metadata.sequence.stream}"
    try:
        event = msgspec.json.decode(message.data, type=Event)
        async with database.transaction() as connection:
            row = upsert(_inbox).values(consumer=consumer, event=key).on_conflict_do_nothing()
            # Not rowcount, which this driver does not tell of an INSERT.
            fresh = (await connection.execute(row.returning(_inbox.c.event))).first() is not None
            if fresh:
                await handler(connection, event)
    except Exception as error:
        # Whatever the handler raised, the event must neither be lost nor block those behind it.
        log.warning(
            "event failed", consumer=consumer, id=key, deliveries=message.metadata.num_delivered, exc_info=error
        )
        away = isinstance(as_hitok_error(error), Unavailable)  # no fault of the event's
        if away or message.metadata.num_delivered < MAX_DELIVERIES:
            HANDLED.labels(consumer, "failed").inc()
            await message.nak(delay=RETRY_DELAY)
            return
        await _bury(database, consumer, key, message, error)
        HANDLED.labels(consumer, "dead").inc()
    else:
        HANDLED.labels(consumer, "done" if fresh else "repeated").inc()
    await message.ack()


async def _bury(database: Database, consumer: str, key: str, message: Msg, error: Exception) -> None:
    data = message.data.decode(errors="replace")
    row = upsert(_dead_letter).values(
        consumer=consumer, event=key, subject=message.subject, data=data, error=repr(error)[:2000]
    )
    async with database.transaction() as connection:
        await connection.execute(row.on_conflict_do_nothing())
