"""Group commit: what is asked for at the same moment is written by one transaction, and answered after it."""

import asyncio
import contextvars
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from services.kit import telemetry
from services.media.errors import Overloaded

T = TypeVar("T")
R = TypeVar("R")

WINDOW = 0.001  # seconds that the first of a batch waits for others
MAX_BATCH = 1_000
MAX_WAITING = 20_000


class Gathering(Generic[T, R]):
    """Writes in the order of arrival, one batch at a time: while one is under way the next gathers."""

    def __init__(self, write: Callable[[list[T]], Awaitable[Sequence[R]]]) -> None:
        """`write` gives a result for each item, in order; what it raises reaches each caller."""
        self._write = write
        self._waiting: deque[tuple[T, asyncio.Future[R]]] = deque()
        self._traces: list[str] = []
        self._writing: asyncio.Task[None] | None = None

    async def add(self, items: Sequence[T]) -> list[R]:
        """Raises Overloaded, and what the batch's write raised.

        A caller that gives up does not stop what he asked for.
        """
        if len(self._waiting) + len(items) > MAX_WAITING:
            raise Overloaded
        loop = asyncio.get_running_loop()
        futures: list[asyncio.Future[R]] = [loop.create_future() for _ in items]
        self._waiting.extend(zip(items, futures, strict=True))
        if trace := telemetry.here():
            self._traces.append(trace)
        if self._waiting and self._writing is None:
            # An empty context: a batch is for many callers, and has no one's deadline or name.
            self._writing = loop.create_task(self._write_all(), context=contextvars.Context())
        return list(await asyncio.gather(*futures))

    async def _write_all(self) -> None:
        try:
            await asyncio.sleep(WINDOW)
            while self._waiting:
                size = min(len(self._waiting), MAX_BATCH)
                await self._write_batch([self._waiting.popleft() for _ in range(size)])
        finally:
            self._writing = None

    async def _write_batch(self, batch: list[tuple[T, asyncio.Future[R]]]) -> None:
        waiting = [future for _, future in batch]
        traces, self._traces = self._traces, []
        try:
            with telemetry.gathering("write", traces):
                results = await self._write([item for item, _ in batch])
        except Exception as error:
            for future in waiting:
                if not future.done():
                    future.set_exception(error)
            return
        for future, result in zip(waiting, results, strict=True):
            if not future.done():
                future.set_result(result)
