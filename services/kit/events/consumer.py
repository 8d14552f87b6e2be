"""Handles events of other services, each of them once."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import msgspec
import structlog
from nats.aio.client import Client as Nats
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js.api import ConsumerConfig
from opentelemetry.trace import SpanKind
from prometheus_client import Counter
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from services.kit import background, telemetry
from services.kit.db import Database
from services.kit.errors import Unavailable
from services.kit.events.outbox import DEAD_LETTER, INBOX
from services.kit.events.queue_metrics import watch_consumer
from services.kit.events.stream import BATCH, LOST, POLL, PUBLISH_TIMEOUT, STREAM, ensure_stream
from services.kit.log import ThrottledWarning
from services.kit.nats import Event
from services.kit.rpc.interceptors import as_hitok_error

MAX_DELIVERIES = 5
RETRY_DELAY = 1.0  # seconds before a failed event is delivered again

HANDLED = Counter("hitok_events_handled", "Events handled", ["consumer", "outcome"])
log = structlog.get_logger("events")

Handler = Callable[[AsyncConnection, Event], Awaitable[None]]


async def consume(database: Database, client: Nats, consumer: str, subjects: list[str], handler: Handler) -> None:
    """Handles events until cancelled. The inbox row and the handler's writes commit together, before the
    acknowledgement.

    After MAX_DELIVERIES failures an event goes to the table dead_letter. Any number of processes may share the durable
    `consumer`.
    """
    for outcome in ("done", "repeated", "failed", "dead"):
        HANDLED.labels(consumer, outcome)
    async with background.run(watch_consumer=lambda: watch_consumer(database, client, STREAM, consumer)):
        await _consume(database, client, consumer, subjects, handler)


async def _consume(database: Database, client: Nats, consumer: str, subjects: list[str], handler: Handler) -> None:
    waits = ThrottledWarning(log, "consumer waits", consumer=consumer)
    config = ConsumerConfig(durable_name=consumer, filter_subjects=subjects, ack_wait=30, max_ack_pending=BATCH)
    while True:
        try:
            jetstream = client.jetstream(timeout=PUBLISH_TIMEOUT)
            await ensure_stream(jetstream)
            await jetstream.add_consumer(STREAM, config)  # also updates the subjects that an older version listed
            subscription = await jetstream.pull_subscribe("", durable=consumer, stream=STREAM, config=config)
            messages: list[Msg] = []
            try:
                while True:
                    background.come_round()
                    with suppress(TimeoutError):
                        messages = await subscription.fetch(BATCH, timeout=POLL)
                    while messages:
                        name = f"handle {messages[0].subject}"
                        with telemetry.following(name, SpanKind.CONSUMER, messages[0].headers):
                            await _handle(database, consumer, handler, messages[0])
                        del messages[0]
            finally:
                # Else no consumer would get the messages fetched, or being fetched, until `ack_wait` has passed.
                with suppress(NatsError):
                    await subscription.unsubscribe()
                    for message in messages:
                        await message.nak()
        except LOST as error:
            background.come_round()
            waits(error)
            await asyncio.sleep(1)


async def _handle(database: Database, consumer: str, handler: Handler, message: Msg) -> None:
    key = (message.headers or {}).get("Nats-Msg-Id") or f"{STREAM}:{message.metadata.sequence.stream}"
    try:
        event = msgspec.json.decode(message.data, type=Event)
        async with database.transaction() as connection:
            row = upsert(INBOX).values(consumer=consumer, event=key).on_conflict_do_nothing()
            # Not rowcount: this driver does not report it for an INSERT.
            fresh = (await connection.execute(row.returning(INBOX.c.event))).first() is not None
            if fresh:
                await handler(connection, event)
    except Exception as error:
        # Whatever the handler raised, the event must not get lost, and must not block the events after it.
        log.warning(
            "event failed", consumer=consumer, id=key, deliveries=message.metadata.num_delivered, exc_info=error
        )
        away = isinstance(as_hitok_error(error), Unavailable)  # the event is not to blame
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
    row = upsert(DEAD_LETTER).values(
        consumer=consumer, event=key, subject=message.subject, data=data, error=repr(error)[:2000]
    )
    async with database.transaction() as connection:
        await connection.execute(row.on_conflict_do_nothing())
