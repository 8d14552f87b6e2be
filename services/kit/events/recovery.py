"""Recovery of a stream that stores nothing any more.

Once a disk was full, a NATS server keeps refusing what is published to the stream (it answers nothing), until it is
restarted or the stream is made anew; to empty it fails, too. So a stream that answers questions but has stored nothing
for some seconds is made anew, and the services publish again what it may have held that a consumer had not handled yet.

Since when they do, a note in the new stream's description says. Before the old one is deleted, NATS keeps the note and
the settings as a second stream, so that a process may be killed between deleting and adding.
"""

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from time import monotonic

import structlog
from nats.aio.client import Client as Nats
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.api import StreamConfig, StreamInfo
from nats.js.errors import BadRequestError, NotFoundError
from prometheus_client import Counter
from sqlalchemy import text

from services.kit import background
from services.kit.db import Database
from services.kit.events.stream import EXISTS, LOST, PUBLISH_TIMEOUT, STREAM, STREAM_DAYS, SUBJECTS

STUCK_SECONDS = 5.0  # without a message stored, while some are published, until the stream is made anew
TROUBLE_SECONDS = 20.0  # of failures, after which the service says that it is in trouble
LOOK_SECONDS = 10.0  # between looks whether another service has made the stream anew
UNMADE = "EVENTS-UNMADE"  # a stream without messages: what EVENTS is to be, while it is made anew
NOTE = "repeats what was published since "  # begins the description of a stream that was made anew
CLOCKS = timedelta(minutes=1)  # by which those of NATS and PostgreSQL may differ

REFUSED = Counter("hitok_publish_failures", "Batches of events of which the stream stored none")
log = structlog.get_logger("events")

REPEAT = text(
    "UPDATE outbox SET published_at = NULL WHERE published_at >= :since AND published_at < :made AND now() > :made"
)


class NotStored(NatsError):
    """NATS is connected, and the stream has stored none of the events."""


class StreamWatch:
    """What a relay does when the stream stores nothing."""

    def __init__(self, database: Database, client: Nats) -> None:
        self._database, self._client = database, client
        self._failing_since = self._look_at = 0.0
        self._seen: tuple[datetime | None, int] | None = None  # when the stream was made, and its last number
        self._seen_at = 0.0
        self._is_made = False  # that no stream is left to be made; a process may have died over it

    def works(self) -> None:
        self._failing_since, self._seen = 0.0, None
        background.set_trouble("events are not stored", False)

    async def fails(self, error: Exception) -> None:
        """After `error`. Makes the stream anew if it is stuck."""
        self._is_made = False
        if not self._client.is_connected:
            return
        self._failing_since = self._failing_since or monotonic()
        if monotonic() - self._failing_since > TROUBLE_SECONDS:
            background.set_trouble("events are not stored", True)
        if isinstance(error, NotStored):
            REFUSED.inc()
            await self._look_at_stream()

    async def _look_at_stream(self) -> None:
        jetstream = self._client.jetstream(timeout=PUBLISH_TIMEOUT)
        info = await jetstream.stream_info(STREAM)
        seen = (info.created, info.state.last_seq)
        if seen != self._seen:  # what took too long may have been stored meanwhile
            self._seen, self._seen_at = seen, monotonic()
        elif monotonic() - self._seen_at > STUCK_SECONDS:
            log.error("the stream stores nothing, as after a full disk: it is made anew", last=info.state.last_seq)
            await self._make_anew(jetstream, info)

    async def repeat_lost(self) -> None:
        """If the stream was made anew, publishes again this service's events that it may lack. Looks now and then."""
        if not self._is_made:
            with suppress(*LOST):
                await self._finish(self._client.jetstream(timeout=PUBLISH_TIMEOUT))
        if monotonic() < self._look_at:
            return
        self._look_at = monotonic() + LOOK_SECONDS
        info = await self._client.jetstream(timeout=PUBLISH_TIMEOUT).stream_info(STREAM)
        note = info.config.description or ""
        if not note.startswith(NOTE) or info.created is None:
            return
        times = {"since": datetime.fromisoformat(note.removeprefix(NOTE)), "made": info.created + timedelta(seconds=5)}
        async with self._database.transaction() as connection:
            repeated = (await connection.execute(REPEAT, times)).rowcount
        if repeated:
            log.warning("events are published again", events=repeated)

    async def _make_anew(self, jetstream: JetStreamContext, info: StreamInfo) -> None:
        since = _noted(info, await _first_unhandled(jetstream, info) - CLOCKS)
        since = max(since, datetime.now(UTC) - timedelta(days=STREAM_DAYS))
        wanted = info.config.evolve(description=NOTE + since.isoformat())
        kept = {"max_bytes": str(wanted.max_bytes or -1)}  # as such, NATS would reserve them twice
        await _add(jetstream, wanted.evolve(name=UNMADE, subjects=[UNMADE], max_bytes=-1, metadata=kept))
        await jetstream.delete_stream(STREAM)
        await _add(jetstream, wanted)
        await self._finish(jetstream)

    async def _finish(self, jetstream: JetStreamContext) -> None:
        """Adds the stream that a relay has begun to make anew, this one or another, which may be about to delete it."""
        try:
            unmade = await jetstream.stream_info(UNMADE)
            most = int((unmade.config.metadata or {})["max_bytes"])
            await _add(jetstream, unmade.config.evolve(name=STREAM, subjects=SUBJECTS, max_bytes=most, metadata=None))
            begun, made = unmade.created, (await jetstream.stream_info(STREAM)).created
            if begun and made and begun > max(made, datetime.now(UTC) - CLOCKS):
                return
            await jetstream.delete_stream(UNMADE)
        except NotFoundError:  # there is none, or another relay has just deleted it
            pass
        self._is_made = True


async def _add(jetstream: JetStreamContext, config: StreamConfig) -> None:
    """Adds a stream with a note. If another relay or a consumer has added it already, that one gets these settings and
    the note: without it, no service would publish again what the deleted stream held."""
    try:
        await jetstream.add_stream(config)
    except BadRequestError as error:
        if error.err_code != EXISTS:
            raise
        info = await jetstream.stream_info(str(config.name))
        since = datetime.fromisoformat((config.description or "").removeprefix(NOTE))
        await jetstream.update_stream(config.evolve(description=NOTE + _noted(info, since).isoformat()))


def _noted(info: StreamInfo, since: datetime) -> datetime:
    """`since`, or what the stream's note says if that is earlier: consumers that have not come back still need it."""
    note = info.config.description or ""
    return min(since, datetime.fromisoformat(note.removeprefix(NOTE))) if note.startswith(NOTE) else since


async def _first_unhandled(jetstream: JetStreamContext, info: StreamInfo) -> datetime:
    """When the first event came that a durable consumer has not acknowledged."""
    consumers = await jetstream.consumers_info(STREAM)
    floors = [each.ack_floor.stream_seq for each in consumers if each.config.durable_name and each.ack_floor]
    first = max(min(floors, default=info.state.last_seq) + 1, info.state.first_seq)
    if first > info.state.last_seq:
        return datetime.now(UTC)
    try:
        time = (await jetstream.get_msg(STREAM, first)).time
    except LOST:
        time = None
    return time or datetime.now(UTC) - timedelta(days=STREAM_DAYS)
