"""How frames get out: written with what they tell of, published right after the commit, and once more if that failed.

Repeats are harmless: clients drop what they have by its rev.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

import structlog
from nats.aio.client import Client as Nats
from opentelemetry.trace import SpanKind
from prometheus_client import Counter
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.chat.pipeline import rows
from services.chat.push.frames import Push
from services.kit import background, telemetry
from services.kit.db import Database
from services.kit.events import LOST

GRACE = 1.5  # seconds that the process which wrote a push has to publish it
POLL = 0.5  # seconds between looks for pushes that are due
CONFIRM = 0.5  # seconds for which published ones gather before they are deleted
KEEP = 600.0  # seconds; after a longer outage all clients catch up by themselves
BATCH = 500
MAX_QUEUE = 20_000
FLUSH_TIMEOUT = 2

PUSHED = Counter("hitok_chat_pushes", "Frames published", ["path"])
for path in ("fast", "relay"):
    PUSHED.labels(path)
log = structlog.get_logger("pushes")

STORE = """INSERT INTO push (subject, header, payload, due_at)
 SELECT subject, header, payload, now() + make_interval(secs => :grace)
 FROM ROWS FROM (jsonb_to_recordset(CAST(:pushes AS jsonb)) AS (subject text, header text, payload text))
  WITH ORDINALITY AS t(subject, header, payload, place)
 ORDER BY place RETURNING id"""
DUE = """SELECT id, subject, header, payload FROM push WHERE due_at <= now()
 ORDER BY id LIMIT :batch FOR UPDATE SKIP LOCKED"""
DELETE = text("DELETE FROM push WHERE id = ANY(CAST(:ids AS bigint[]))")
PURGE = text("DELETE FROM push WHERE due_at < now() - make_interval(secs => :keep)")


def columns(pushes: Sequence[Push]) -> dict[str, object]:
    """The parameters of STORE but `grace`."""
    return {"pushes": rows([push._asdict() for push in pushes])}


async def store(connection: AsyncConnection, pushes: Sequence[Push], grace: float = GRACE) -> list[int]:
    """In the caller's transaction; the ids are for `Publisher.put` after it. Without grace the relay publishes."""
    if not pushes:
        return []
    result = await connection.execute(text(STORE), {**columns(pushes), "grace": grace})
    return list(result.scalars())


class Publisher:
    def __init__(self, database: Database, nats: Nats) -> None:
        self._database, self._nats = database, nats
        self._queue: deque[tuple[int, Push]] = deque()
        self._published: list[int] = []
        self._filled, self._due = asyncio.Event(), asyncio.Event()

    def put(self, ids: Sequence[int], pushes: Sequence[Push]) -> None:
        """Publishes what was committed, in order."""
        if len(self._queue) < MAX_QUEUE:  # else they come later, from the table
            self._queue.extend(zip(ids, pushes, strict=True))
            self._filled.set()

    async def publish_now(self, ids: Sequence[int], pushes: Sequence[Push]) -> None:
        """As `put`, and returns when the server has passed them on: whatever is published later comes later."""
        if not (pushes and self._nats.is_connected):
            return
        try:
            for push in pushes:
                await self._publish(push)
            await self._nats.flush(FLUSH_TIMEOUT)
            self._published.extend(ids)
        except LOST as error:
            log.warning("push failed", error=repr(error)[:200])

    def put_passing(self, push: Push) -> None:
        """Publishes what nobody misses, such as a receipt."""
        self.put([0], [push])

    def wake(self) -> None:
        """The transaction that is about to commit wrote pushes without grace."""
        asyncio.get_running_loop().call_later(0.01, self._due.set)

    async def run(self) -> None:
        while True:
            await self._filled.wait()
            self._filled.clear()
            try:
                while self._queue:
                    id, push = self._queue.popleft()
                    if self._nats.is_connected:  # else the client would keep it, and the relay repeat it
                        await asyncio.wait_for(self._publish(push), FLUSH_TIMEOUT)
                        PUSHED.labels("fast").inc()
                        if id:
                            self._published.append(id)
            except LOST as error:
                log.warning("push failed", error=repr(error)[:200])

    async def confirm(self) -> None:
        """Deletes what NATS has surely got."""
        while True:
            await asyncio.sleep(CONFIRM)
            await self.confirm_now()

    async def confirm_now(self) -> None:
        if not self._published:
            return
        ids, self._published = self._published, []
        try:
            await self._nats.flush(FLUSH_TIMEOUT)
            async with self._database.transaction() as connection:
                await connection.execute(DELETE, {"ids": ids})
        except LOST as error:
            log.warning("pushes not confirmed", error=repr(error)[:200])

    async def relay(self) -> None:
        """Publishes what is due: nobody's own, and what a lost process or connection left."""
        loop, purge_at = asyncio.get_running_loop(), 0.0
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._due.wait(), POLL)
            self._due.clear()
            try:
                while self._nats.is_connected and await self._relay_batch() == BATCH:
                    pass
                if loop.time() > purge_at:
                    purge_at = loop.time() + KEEP / 10
                    async with self._database.transaction() as connection:
                        await connection.execute(PURGE, {"keep": KEEP})
            except LOST as error:
                log.warning("push relay waits", error=repr(error)[:200])
                await asyncio.sleep(1)

    async def _relay_batch(self) -> int:
        async with self._database.transaction() as connection:
            rows = (await connection.execute(text(DUE), {"batch": BATCH})).all()
            if rows:
                for row in rows:
                    await self._publish(Push(row.subject, row.header, row.payload))
                await self._nats.flush(FLUSH_TIMEOUT)
                await connection.execute(DELETE, {"ids": [row.id for row in rows]})
        PUSHED.labels("relay").inc(len(rows))
        return len(rows)

    async def _publish(self, push: Push) -> None:
        headers = dict(line.split(": ", 1) for line in push.header.splitlines())
        with telemetry.following("publish push", SpanKind.PRODUCER, headers):
            headers |= telemetry.trace_headers()
            await self._nats.publish(push.subject, push.payload.encode(), headers=headers or None)


@asynccontextmanager
async def publishing(database: Database, nats: Nats) -> AsyncIterator[Publisher]:
    publisher = Publisher(database, nats)
    try:
        async with background.run(
            publish_pushes=publisher.run, confirm_pushes=publisher.confirm, relay_pushes=publisher.relay
        ):
            yield publisher
    finally:
        await publisher.confirm_now()
