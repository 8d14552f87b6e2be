"""The JetStream stream that all events travel in."""

from contextlib import suppress

from nats.aio.client import Client as Nats
from nats.errors import Error as NatsError
from nats.js.api import RetentionPolicy, StorageType, StreamConfig
from nats.js.errors import BadRequestError
from sqlalchemy.exc import SQLAlchemyError

STREAM = "EVENTS"
STREAM_DAYS = 7  # for which it keeps an event
BATCH = 200  # events
PUBLISH_TIMEOUT = 2.0  # seconds
POLL = 5.0  # seconds between looks for events when nothing woke the relay or the consumer
LOST = (SQLAlchemyError, NatsError, OSError, TimeoutError)  # PostgreSQL or NATS is away, or has no free connection


async def ensure_stream(client: Nats) -> None:
    """Creates the stream; leaves an existing one as its operator configured it.

    A cluster of three servers or more keeps it on three of them, so that it outlives any one.
    """
    jetstream = client.jetstream(timeout=PUBLISH_TIMEOUT)
    with suppress(BadRequestError):  # exists, with other settings
        await jetstream.add_stream(
            StreamConfig(
                name=STREAM,
                subjects=["events.>"],
                retention=RetentionPolicy.LIMITS,
                storage=StorageType.FILE,
                max_age=STREAM_DAYS * 86_400,
                duplicate_window=120,
                num_replicas=3 if len(client.servers) >= 3 else 1,
            )
        )
