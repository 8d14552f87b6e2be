"""Group commit: messages that wait at the same moment share a transaction (docs/adr/0022-group-commit.md)."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from time import monotonic

import structlog
from prometheus_client import Histogram

from services.chat.errors import Overloaded
from services.chat.sending.insert import Outgoing, Sent
from services.kit import background, telemetry
from services.kit.errors import Unavailable
from services.kit.rpc.interceptors import as_hitok_error

WINDOW = 0.002  # seconds that a batch waits for more messages, if the one before had several
HELP_AFTER = 0.02  # seconds without a new transaction after which another writer helps
HELP_BEYOND = 200  # waiting messages for which another writer helps at once
MAX_BATCH = 300  # messages per transaction
MAX_BYTES = 4 * 1024 * 1024  # of bodies per transaction
MAX_WAIT = 0.5  # seconds that the last batch may have waited while another one is full
RETRY_AFTER = 1.0  # seconds, for those who find the queue full

BATCHED = Histogram("hitok_chat_batch", "Messages a transaction", buckets=(1, 2, 5, 10, 20, 50, 100, 200, 300))
log = structlog.get_logger("group_commit")

Write = Callable[[list[Outgoing]], Awaitable[Sequence[Sent | Exception]]]
Entry = tuple[Outgoing, asyncio.Future[Sent], float]  # and when it came


class GroupCommit:
    """Writers that take waiting messages of any conversations which no other writer is writing to.

    While one transaction commits, the messages of the next one gather. A transaction costs far more than one more
    message in it, so under load the writer waits a moment for more; a lone message does not wait. One writer does all
    the work while it can; the others help when it is held up, or when too much waits.
    """

    def __init__(self, write: Write, max_waiting: int) -> None:
        """`write` returns a result for each message, in their order. What it raises is the result of all."""
        self._write, self._max_waiting = write, max_waiting
        self._queues: dict[int, deque[Entry]] = {}  # by conversation
        self._free: dict[int, None] = {}  # conversations with waiting messages that no writer is writing to, in order
        self._count, self._taken, self._is_busy = 0, 0, False
        self._waited = 0.0  # the oldest message of the last batch, in seconds
        self._filled = asyncio.Event()

    def submit(self, send: Outgoing) -> asyncio.Future[Sent]:
        """The order of the messages is that of the calls, not of the awaits. Raises Overloaded."""
        if self._count >= self._max_waiting or (self._waited > MAX_WAIT and self._count > MAX_BATCH):
            raise Overloaded(retry_after=RETRY_AFTER)
        future: asyncio.Future[Sent] = asyncio.get_running_loop().create_future()
        id = send.conversation_id
        if id not in self._queues:
            self._queues[id] = deque()
            self._free[id] = None
        self._queues[id].append((send, future, monotonic()))
        self._count += 1
        self._filled.set()
        return future

    async def write_all(self) -> None:
        """The writer that does the work."""
        while True:
            await self._filled.wait()
            if self._is_busy:
                await asyncio.sleep(WINDOW)
            await self._write_next()

    async def help_out(self) -> None:
        """A writer that helps when it is needed."""
        while True:
            await self._filled.wait()
            taken = self._taken
            await asyncio.sleep(HELP_AFTER)
            if self._taken == taken or self._count > HELP_BEYOND:
                await self._write_next()

    async def _write_next(self) -> None:
        taken = self._take()
        if not taken:
            self._filled.clear()
            return
        batch = [entry for entries in taken.values() for entry in entries]
        try:
            BATCHED.observe(len(batch))
            self._taken += 1
            self._waited = monotonic() - min(came for *_, came in batch)
            self._is_busy = len(batch) > 1 or self._count > len(batch)
            await self._write_batch(batch)
        finally:
            _fail([future for _, future, _ in batch if not future.done()])  # the writer itself failed, or was cancelled
            self._count -= len(batch)
            self._release(list(taken))

    def _take(self) -> dict[int, list[Entry]]:
        taken: dict[int, list[Entry]] = {}
        count = size = 0
        for id in list(self._free):
            queue, entries = self._queues[id], []
            while queue and count < MAX_BATCH and size < MAX_BYTES:
                entries.append(queue.popleft())
                count, size = count + 1, size + entries[-1][0].content.body.size
            if not entries:
                break
            taken[id] = entries
            del self._free[id]
        return taken

    def _release(self, ids: Sequence[int]) -> None:
        for id in ids:
            if self._queues[id]:
                self._free[id] = None
                self._filled.set()
            else:
                del self._queues[id]

    async def _write_batch(self, batch: Sequence[Entry]) -> None:
        try:
            with telemetry.gathering("write messages", (send.trace for send, *_ in batch)):
                results = await self._write([send for send, *_ in batch])
        except Exception as error:
            if len(batch) > 1 and not isinstance(as_hitok_error(error), Unavailable):
                log.exception("a batch failed")
                for entry in batch:  # again one by one, so that a bad message fails alone
                    await self._write_batch([entry])
                return
            results = [error] * len(batch)
        for (_, future, _), result in zip(batch, results, strict=True):
            if future.done():
                continue  # its caller was cancelled
            if isinstance(result, Exception):
                future.set_exception(result)
            else:
                future.set_result(result)


def _fail(futures: Sequence[asyncio.Future[Sent]]) -> None:
    for future in futures:
        future.set_exception(Unavailable("the writer ended"))
        future.exception()  # marks it as seen: its caller may be gone


@asynccontextmanager
async def committing(write: Write, writers: int, max_waiting: int) -> AsyncIterator[GroupCommit]:
    group_commit = GroupCommit(write, max_waiting)
    helpers = {f"write_messages_{number}": group_commit.help_out for number in range(1, writers)}
    async with background.run(write_messages=group_commit.write_all, **helpers):
        yield group_commit
