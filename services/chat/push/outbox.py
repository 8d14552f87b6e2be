"""How frames reach NATS: each is stored with the change it announces, published right after the commit by the process
that stored it, and by the relay if that failed (docs/adr/0020-a-push-table-beside-the-outbox.md).

A frame may be published twice; clients drop a durable frame that they have by its rev.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from time import monotonic

import structlog
from nats.aio.client import Client as Nats
from opentelemetry.trace import SpanKind
from prometheus_client import Counter
from sqlalchemy import TextClause, text

from services.chat.parameters import json_rows
from services.chat.push.frames import Push
from services.kit import background, telemetry
from services.kit.db import Database, after_commit
from services.kit.events.stream import LOST
from services.kit.sql.connection import AsyncConnection

GRACE = 1.5  # seconds that the process which stored or claimed a push has to publish it
SOON = 0.5  # seconds between looks while pushes of this process are left to the relay
POLL = 5.0  # seconds between looks for what a process that died has left
CONFIRM = 0.5  # seconds for which published pushes gather before they are deleted
KEEP = 600.0  # seconds; after a longer outage clients catch up by themselves
BATCH = 500
MAX_QUEUE = 20_000
NATS_TIMEOUT = 2  # seconds

PUSHED = Counter("hitok_chat_pushes", "Frames published", ["path"])
for path in ("fast", "relay"):
    PUSHED.labels(path)
log = structlog.get_logger("pushes")

STORE = """INSERT INTO push (subject, header, payload, due_at)
 SELECT subject, header, payload, now() + make_interval(secs => :grace)
 FROM ROWS FROM (jsonb_to_recordset(CAST(:pushes AS jsonb)) AS (subject text, header text, payload text))
  WITH ORDINALITY AS t(subject, header, payload, place)
 ORDER BY place RETURNING id"""
# Claimed, not locked: no transaction is open while they are published, and the claim of a process that dies runs out.
# A user's membership frames are published in their order, as the last one decides how the user's frames are routed.
CLAIM = """WITH due AS (SELECT id FROM push AS one WHERE due_at <= now() {subjects} AND (header !~ '^(joined|left):'
  OR NOT EXISTS (SELECT FROM push AS older WHERE older.subject = one.subject AND older.id < one.id
   AND older.header ~ '^(joined|left):' AND older.due_at > now()))
  ORDER BY id LIMIT :batch FOR UPDATE SKIP LOCKED)
 UPDATE push SET due_at = now() + make_interval(secs => :grace) FROM due WHERE push.id = due.id
 RETURNING push.id, subject, header, payload"""
CLAIM_ANY = text(CLAIM.format(subjects=""))
CLAIM_OF = text(CLAIM.format(subjects="AND subject = ANY(CAST(:subjects AS text[]))"))
PENDING = text("""SELECT EXISTS (SELECT FROM push WHERE subject = ANY(CAST(:subjects AS text[]))
 AND header ~ '^(joined|left):')""")
UNCLAIM = text("UPDATE push SET due_at = now() WHERE id = ANY(CAST(:ids AS bigint[]))")
DELETE = text("DELETE FROM push WHERE id = ANY(CAST(:ids AS bigint[]))")
PURGE = text("DELETE FROM push WHERE due_at < now() - make_interval(secs => :keep)")


def store_parameters(pushes: Sequence[Push]) -> dict[str, object]:
    """The parameters of STORE, for a push that its own process publishes."""
    return {"pushes": json_rows([push._asdict() for push in pushes]), "grace": GRACE}


class Publisher:
    def __init__(self, database: Database, nats: Nats) -> None:
        self._database, self._nats = database, nats
        self._queue: deque[tuple[int, Push]] = deque()
        self._published: list[int] = []  # ids to delete
        self._left_at = 0.0  # when a push was last left to the relay; 0: it found all
        self._filled, self._due, self._confirm = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.listener: Callable[[Sequence[Push]], None] | None = None  # called with what is committed, maybe twice

    async def store(self, connection: AsyncConnection, pushes: Sequence[Push]) -> None:
        """Stores pushes in the caller's transaction. This process publishes them once it is committed."""
        if pushes:
            stored = await connection.execute(text(STORE), store_parameters(pushes))
            self.publish_after_commit(connection, list(stored.scalars()), pushes)

    async def store_for_relay(self, connection: AsyncConnection, pushes: Sequence[Push]) -> None:
        """Stores pushes in the caller's transaction. The relay publishes them, in the order of their storing."""
        if pushes:
            await connection.execute(text(STORE), store_parameters(pushes) | {"grace": 0})
            after_commit(connection, self._due.set)

    def publish_after_commit(self, connection: AsyncConnection, ids: Sequence[int], pushes: Sequence[Push]) -> None:
        """For pushes that the transaction stored itself, with STORE."""
        after_commit(connection, lambda: self._enqueue(ids, pushes))

    def publish_unstored(self, push: Push) -> None:
        """For a push that may be lost, such as a receipt."""
        self._enqueue([0], [push])

    async def publish_memberships(self, subjects: Sequence[str], seconds: float) -> None:
        """Publishes stored `joined` and `left` frames with these subjects, or waits until another process has done so.

        Gives up after `seconds`, or while NATS or Postgres is away; then the relay publishes them later.
        """
        with suppress(TimeoutError, *LOST):
            async with asyncio.timeout(seconds):
                while self._nats.is_connected and await self._is_pending(subjects):
                    await self._publish_claimed(CLAIM_OF, subjects=list(subjects))
                    await self._delete_published()
                    await asyncio.sleep(0.01)

    async def publish_queue(self) -> None:
        """Publishes what was committed here, in its order."""
        while True:
            await self._filled.wait()
            self._filled.clear()
            try:
                while self._queue:
                    id, push = self._queue.popleft()
                    if self._nats.is_connected:  # otherwise the client would keep it, and the relay repeat it
                        await asyncio.wait_for(self._publish(push), NATS_TIMEOUT)
                        PUSHED.labels("fast").inc()
                        if id:
                            self._published.append(id)
                            self._confirm.set()
                    else:
                        self._left_at = monotonic()
            except LOST as error:
                self._queue.clear()  # left to the relay: published here later, they could overtake newer ones
                self._left_at = monotonic()
                log.warning("push failed", error=repr(error)[:200])

    async def delete_published(self) -> None:
        """Deletes the pushes that NATS has surely received."""
        while True:
            await self._confirm.wait()
            await asyncio.sleep(CONFIRM)
            self._confirm.clear()
            try:
                await self._delete_published()
            except LOST as error:
                log.warning("published pushes not deleted", error=repr(error)[:200])

    async def relay(self) -> None:
        """Publishes what is due: pushes stored for the relay, and those that a lost process or connection left."""
        loop, purge_at = asyncio.get_running_loop(), 0.0
        while True:
            background.come_round()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._due.wait(), SOON if self._left_at else POLL)
            self._due.clear()
            try:
                looked_at = monotonic()
                while self._nats.is_connected and await self._relay_batch() == BATCH:
                    pass
                if self._nats.is_connected and looked_at > self._left_at + GRACE:
                    self._left_at = 0.0
                if loop.time() > purge_at:
                    purge_at = loop.time() + KEEP / 10
                    async with self._database.transaction() as connection:
                        await connection.execute(PURGE, {"keep": KEEP})
            except LOST as error:
                self._left_at = monotonic()
                log.warning("push relay waits", error=repr(error)[:200])
                await asyncio.sleep(1)

    def _tell(self, pushes: Sequence[Push]) -> None:
        if self.listener:
            self.listener(pushes)

    def _enqueue(self, ids: Sequence[int], pushes: Sequence[Push]) -> None:
        self._tell(pushes)
        if len(self._queue) < MAX_QUEUE:  # otherwise the relay publishes them
            self._queue.extend(zip(ids, pushes, strict=True))
            self._filled.set()
        else:
            self._left_at = monotonic()

    async def _relay_batch(self) -> int:
        return await self._publish_claimed(CLAIM_ANY)

    async def _publish_claimed(self, claim: TextClause, **values: object) -> int:
        """Claims pushes that are due, publishes and deletes them; returns their number. Raises one of LOST."""
        async with self._database.transaction() as connection:
            claimed = (await connection.execute(claim, {"batch": BATCH, "grace": GRACE, **values})).all()
        if not claimed:
            return 0
        rows = sorted(claimed, key=lambda row: row.id)  # UPDATE returns them in any order
        ids, pushes = [row.id for row in rows], [Push(row.subject, row.header, row.payload) for row in rows]
        self._tell(pushes)
        try:
            await self._publish_all(pushes)
        except LOST:
            async with self._database.transaction() as connection:
                await connection.execute(UNCLAIM, {"ids": ids})
            raise
        async with self._database.transaction() as connection:
            await connection.execute(DELETE, {"ids": ids})
        PUSHED.labels("relay").inc(len(rows))
        return len(rows)

    async def _publish_all(self, pushes: Sequence[Push]) -> None:
        """Returns when the server has them. Raises one of LOST."""
        async with asyncio.timeout(NATS_TIMEOUT):
            for push in pushes:
                await self._publish(push)
        await self._nats.flush(NATS_TIMEOUT)

    async def _publish(self, push: Push) -> None:
        headers = dict(line.split(": ", 1) for line in push.header.splitlines())
        with telemetry.following("publish push", SpanKind.PRODUCER, headers):
            headers |= telemetry.trace_headers()
            await self._nats.publish(push.subject, push.payload.encode(), headers=headers or None)

    async def _delete_published(self) -> None:
        """Raises one of LOST; what it could not delete the relay publishes once more."""
        if not self._published:
            return
        ids, self._published = self._published, []
        await self._nats.flush(NATS_TIMEOUT)
        async with self._database.transaction() as connection:
            await connection.execute(DELETE, {"ids": ids})

    async def _is_pending(self, subjects: Sequence[str]) -> bool:
        async with self._database.transaction() as connection:
            return bool((await connection.execute(PENDING, {"subjects": list(subjects)})).scalar_one())


@asynccontextmanager
async def publishing(database: Database, nats: Nats) -> AsyncIterator[Publisher]:
    publisher = Publisher(database, nats)
    try:
        async with background.run(
            publish_pushes=publisher.publish_queue,
            confirm_pushes=publisher.delete_published,
            relay_pushes=publisher.relay,
        ):
            yield publisher
    finally:
        with suppress(*LOST):
            await publisher._delete_published()
