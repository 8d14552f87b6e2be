"""Handles events of other services, each of them once."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import NamedTuple

import msgspec
import structlog
from nats.aio.client import Client as Nats
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.api import ConsumerConfig
from prometheus_client import Counter
from sqlalchemy import text
from sqlalchemy.dialects.postgresql import insert as upsert

from services.kit import background, telemetry
from services.kit.db import Database
from services.kit.errors import Unavailable
from services.kit.events.outbox import DEAD_LETTER
from services.kit.events.queue_metrics import watch_consumer
from services.kit.events.stream import BATCH, LOST, POLL, PUBLISH_TIMEOUT, STREAM, ensure_stream
from services.kit.log import ThrottledWarning
from services.kit.nats import Event
from services.kit.rpc.interceptors import as_hitok_error
from services.kit.sql.connection import AsyncConnection

MAX_DELIVERIES = 5
RETRY_DELAY = 1.0  # seconds before a failed event is delivered again
GATHER = 0.01  # seconds for which events gather after some were handled; an event after a quiet time does not wait

# In the order of the keys, so that processes that get some events both cannot deadlock.
REMEMBER = text("""INSERT INTO inbox (consumer, event)
 SELECT CAST(:consumer AS text), event FROM jsonb_array_elements_text(CAST(:events AS jsonb)) AS event ORDER BY event
 ON CONFLICT DO NOTHING RETURNING event""")

HANDLED = Counter("hitok_events_handled", "Events handled", ["consumer", "outcome"])
log = structlog.get_logger("events")

Handler = Callable[[AsyncConnection, Event], Awaitable[None]]
BatchHandler = Callable[[AsyncConnection, Sequence[Event]], Awaitable[None]]


class Delivery(NamedTuple):
    """A message of the stream; `key` names its event in the inbox."""

    key: str
    message: Msg

    @property
    def event(self) -> Event:
        """Raises msgspec.DecodeError."""
        return msgspec.json.decode(self.message.data, type=Event)


async def consume(database: Database, client: Nats, consumer: str, subjects: list[str], handler: Handler) -> None:
    """As `consume_batches`, with a transaction for each event: for handlers that hold locks or write much."""

    async def handle(connection: AsyncConnection, events: Sequence[Event]) -> None:
        for event in events:
            await handler(connection, event)

    await consume_batches(database, client, consumer, subjects, handle, most=1)


async def consume_batches(
    database: Database, client: Nats, consumer: str, subjects: list[str], handler: BatchHandler, most: int = BATCH
) -> None:
    """Handles events until cancelled: those of one moment in one transaction, in their order, `most` at once. The inbox
    rows and the handler's writes commit together, before the acknowledgements.

    If a batch fails, its halves are tried, so that a bad event fails alone. After MAX_DELIVERIES failures it goes to
    the table dead_letter. Any number of processes may share the durable `consumer`.
    """
    for outcome in ("done", "repeated", "failed", "dead"):
        HANDLED.labels(consumer, outcome)
    async with background.run(watch_consumer=lambda: watch_consumer(database, client, STREAM, consumer)):
        await _Consumer(database, client, consumer, handler, most).run(subjects)


class _Consumer:
    def __init__(self, database: Database, client: Nats, name: str, handler: BatchHandler, most: int) -> None:
        self._database, self._client, self._name, self._handler, self._most = database, client, name, handler, most

    async def run(self, subjects: list[str]) -> None:
        waits = ThrottledWarning(log, "consumer waits", consumer=self._name)
        config = ConsumerConfig(durable_name=self._name, filter_subjects=subjects, ack_wait=30, max_ack_pending=BATCH)
        while True:
            try:
                jetstream = self._client.jetstream(timeout=PUBLISH_TIMEOUT)
                await ensure_stream(self._client)
                await jetstream.add_consumer(STREAM, config)  # also updates the subjects that an older version listed
                subscription = await jetstream.pull_subscribe("", durable=self._name, stream=STREAM, config=config)
                await self._take_from(subscription)
            except LOST as error:
                background.come_round()
                waits(error)
                await asyncio.sleep(1)

    async def _take_from(self, subscription: JetStreamContext.PullSubscription) -> None:
        messages: list[Msg] = []
        try:
            while True:
                background.come_round()
                with suppress(TimeoutError):
                    messages = await subscription.fetch(1, timeout=background.until(POLL))
                    # Not more than there are: that there are no more is what the server sometimes does not tell.
                    first = messages[0].metadata
                    if rest := min(first.num_pending if first.num_delivered == 1 else BATCH, BATCH - 1):
                        messages += await subscription.fetch(rest, timeout=GATHER)
                if messages:
                    deliveries = [Delivery(_key_of(message), message) for message in messages]
                    for start in range(0, len(deliveries), self._most):
                        await self._handle(deliveries[start : start + self._most])
                    messages = []
                    await asyncio.sleep(GATHER)
        finally:
            # Else no consumer would get the messages fetched, or being fetched, until `ack_wait` has passed.
            with suppress(NatsError):
                await subscription.unsubscribe()
                for message in messages:
                    if not message.is_acked:
                        await message.nak()

    async def _handle(self, deliveries: Sequence[Delivery]) -> None:
        try:
            traces = ((each.message.headers or {}).get(telemetry.TRACE, "") for each in deliveries)
            with telemetry.gathering(f"handle {deliveries[0].message.subject}", traces):
                fresh = await self._apply(deliveries)
        except Exception as error:
            # Whatever the handler raised, no event must get lost, and none must block the events after it.
            if len(deliveries) > 1 and not _is_away(error):
                middle = len(deliveries) // 2
                await self._handle(deliveries[:middle])
                await self._handle(deliveries[middle:])
                return
            for delivery in deliveries:
                await self._fail(delivery, error)
            return
        HANDLED.labels(self._name, "done").inc(fresh)
        HANDLED.labels(self._name, "repeated").inc(len(deliveries) - fresh)
        for delivery in deliveries:
            await delivery.message.ack()

    async def _apply(self, deliveries: Sequence[Delivery]) -> int:
        """Returns the number of events that were not handled before."""
        events = {delivery.key: delivery.event for delivery in deliveries}
        async with self._database.transaction() as connection:
            keys = msgspec.json.encode(list(events)).decode()
            handled = await connection.execute(REMEMBER, {"consumer": self._name, "events": keys})
            if fresh := set(handled.scalars()):
                await self._handler(connection, [event for key, event in events.items() if key in fresh])
        return len(fresh)

    async def _fail(self, delivery: Delivery, error: Exception) -> None:
        deliveries = delivery.message.metadata.num_delivered
        log.warning("event failed", consumer=self._name, id=delivery.key, deliveries=deliveries, exc_info=error)
        if _is_away(error) or deliveries < MAX_DELIVERIES:
            HANDLED.labels(self._name, "failed").inc()
            await delivery.message.nak(delay=RETRY_DELAY)
            return
        await _bury(self._database, self._name, delivery.key, delivery.message, error)
        HANDLED.labels(self._name, "dead").inc()
        await delivery.message.ack()


def _key_of(message: Msg) -> str:
    return (message.headers or {}).get("Nats-Msg-Id") or f"{STREAM}:{message.metadata.sequence.stream}"


def _is_away(error: Exception) -> bool:
    """Whether a server is away, so that the event is not to blame."""
    return isinstance(as_hitok_error(error), Unavailable)


async def _bury(database: Database, consumer: str, key: str, message: Msg, error: Exception) -> None:
    data = message.data.decode(errors="replace")
    row = upsert(DEAD_LETTER).values(
        consumer=consumer, event=key, subject=message.subject, data=data, error=repr(error)[:2000]
    )
    async with database.transaction() as connection:
        await connection.execute(row.on_conflict_do_nothing())
