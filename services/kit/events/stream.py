"""The JetStream stream that all events travel in."""

from nats.aio.client import Client as Nats
from nats.errors import Error as NatsError
from nats.js.api import RetentionPolicy, StorageType, StreamConfig
from nats.js.errors import BadRequestError
from sqlalchemy.exc import SQLAlchemyError

STREAM = "EVENTS"
SUBJECTS = ["events.>"]
STREAM_DAYS = 7  # for which it keeps an event
BATCH = 200  # events
PUBLISH_TIMEOUT = 2.0  # seconds
EXISTS = 10058  # NATS' code of the error that a stream has the name already, with other settings
POLL = 5.0  # seconds between looks for events when nothing woke the relay or the consumer
LOST = (SQLAlchemyError, NatsError, OSError, TimeoutError)  # PostgreSQL or NATS is away, or has no free connection


async def ensure_stream(client: Nats) -> None:
    """Creates the stream; leaves an existing one as its operator configured it.

    A cluster of three servers or more keeps it on three of them, so that it outlives any one.
    """
    jetstream = client.jetstream(timeout=PUBLISH_TIMEOUT)
    wanted = StreamConfig(
        name=STREAM,
        subjects=SUBJECTS,
        retention=RetentionPolicy.LIMITS,
        storage=StorageType.FILE,
        max_age=STREAM_DAYS * 86_400,
        duplicate_window=120,
        num_replicas=3 if len(client.servers) >= 3 else 1,
    )
    try:
        await jetstream.add_stream(wanted)
    except BadRequestError as error:
        if error.err_code != EXISTS:  # such as: the cluster has no three servers yet
            raise
