"""The JetStream stream that all events travel in."""

from contextlib import suppress

from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.api import RetentionPolicy, StorageType, StreamConfig
from nats.js.errors import BadRequestError
from sqlalchemy.exc import SQLAlchemyError

STREAM = "EVENTS"
STREAM_DAYS = 7  # for which it keeps an event
BATCH = 200  # events
PUBLISH_TIMEOUT = 2.0  # seconds
POLL = 5.0  # seconds between looks for events when nothing woke the relay or the consumer
LOST = (SQLAlchemyError, NatsError, OSError, TimeoutError)  # PostgreSQL or NATS is away, or has no free connection


async def ensure_stream(jetstream: JetStreamContext) -> None:
    """Creates the stream; leaves an existing one as its operator configured it."""
    with suppress(BadRequestError):  # exists, with other settings
        await jetstream.add_stream(
            StreamConfig(
                name=STREAM,
                subjects=["events.>"],
                retention=RetentionPolicy.LIMITS,
                storage=StorageType.FILE,
                max_age=STREAM_DAYS * 86_400,
                duplicate_window=120,
            )
        )
