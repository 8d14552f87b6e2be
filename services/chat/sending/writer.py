"""Messages sent at the same moment are written by one transaction; those of one conversation in turn."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

import structlog
from prometheus_client import Histogram

from services.chat.errors import Overloaded
from services.chat.sending.insert import Outgoing, Sent
from services.kit import background, telemetry
from services.kit.errors import Unavailable
from services.kit.interceptors import as_hitok_error

WINDOW = 0.002  # seconds that a batch waits for more, if the one before had some
PATIENCE = 0.02  # seconds without a new transaction after which another writer helps
CROWD = 200  # messages that are too many for one
MAX_BATCH = 300  # messages a transaction
MAX_BYTES = 4 * 1024 * 1024
RETRY_AFTER = 1.0  # seconds, told to those who find the queue full

BATCHED = Histogram("hitok_chat_batch", "Messages a transaction", buckets=(1, 2, 5, 10, 20, 50, 100, 200, 300))
log = structlog.get_logger("batches")

Write = Callable[[list[Outgoing]], Awaitable[Sequence[Sent | Exception]]]


class Batches:
    """Writers, each of whom takes what waits of any conversations that no other is at.

    While a transaction commits, the next one gathers. A transaction costs far more than one message in it, so when
    there is much to do the writer waits a moment for more; a lone message waits for nobody. One does all the writing
    while he can: the others help when he is held up, or when there is too much for him.
    """

    def __init__(self, write: Write, max_waiting: int) -> None:
        """`write` gives a result for each message, in order; what it raises reaches all, if it is not one's fault."""
        self._write, self._max_waiting = write, max_waiting
        self._lanes: dict[int, deque[tuple[Outgoing, asyncio.Future[Sent]]]] = {}
        self._free: dict[int, None] = {}  # conversations with messages that no writer is at, in order
        self._count, self._taken, self._busy = 0, 0, False
        self._filled = asyncio.Event()

    def add(self, send: Outgoing) -> asyncio.Future[Sent]:
        """Its place among the sender's messages is taken when this returns. Raises Overloaded."""
        if self._count >= self._max_waiting:
            raise Overloaded(retry_after=RETRY_AFTER)
        future: asyncio.Future[Sent] = asyncio.get_running_loop().create_future()
        id = send.conversation_id
        if id not in self._lanes:
            self._lanes[id] = deque()
            self._free[id] = None
        self._lanes[id].append((send, future))
        self._count += 1
        self._filled.set()
        return future

    async def work(self) -> None:
        while True:
            await self._filled.wait()
            if self._busy:
                await asyncio.sleep(WINDOW)
            await self._write_next()

    async def help(self) -> None:
        while True:
            await self._filled.wait()
            taken = self._taken
            await asyncio.sleep(PATIENCE)
            if self._taken == taken or self._count > CROWD:
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
            self._busy = len(batch) > 1 or self._count > len(batch)
            await self._write_batch(batch)
        finally:
            self._count -= len(batch)
            self._release(list(taken))

    def _take(self) -> dict[int, list[tuple[Outgoing, asyncio.Future[Sent]]]]:
        taken: dict[int, list[tuple[Outgoing, asyncio.Future[Sent]]]] = {}
        count = size = 0
        for id in list(self._free):
            lane, entries = self._lanes[id], []
            while lane and count < MAX_BATCH and size < MAX_BYTES:
                entries.append(lane.popleft())
                count, size = count + 1, size + entries[-1][0].content.body.size
            if not entries:
                break
            taken[id] = entries
            del self._free[id]
        return taken

    def _release(self, ids: Sequence[int]) -> None:
        for id in ids:
            if self._lanes[id]:
                self._free[id] = None
                self._filled.set()
            else:
                del self._lanes[id]

    async def _write_batch(self, batch: Sequence[tuple[Outgoing, asyncio.Future[Sent]]]) -> None:
        try:
            with telemetry.gathering("write messages", (send.trace for send, _ in batch)):
                results = await self._write([send for send, _ in batch])
        except Exception as error:
            if len(batch) > 1 and not isinstance(as_hitok_error(error), Unavailable):
                log.exception("a batch failed")
                for entry in batch:  # one of them is to blame, and the others shall not suffer
                    await self._write_batch([entry])
                return
            results = [error] * len(batch)
        for (_, future), result in zip(batch, results, strict=True):
            if future.done():
                continue  # its caller is gone
            if isinstance(result, Exception):
                future.set_exception(result)
            else:
                future.set_result(result)


@asynccontextmanager
async def writing(write: Write, writers: int, max_waiting: int) -> AsyncIterator[Batches]:
    batches = Batches(write, max_waiting)
    helpers = {f"write_messages_{number}": batches.help for number in range(1, writers)}
    async with background.run(write_messages=batches.work, **helpers):
        yield batches
