"""Batching: items submitted at the same moment are handled by one call."""

import asyncio
import contextvars
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from services.kit import telemetry
from services.kit.errors import HitokError, Unavailable

T = TypeVar("T")
R = TypeVar("R")

MAX_ITEMS = 500  # per batch; the limit of the services' batch RPCs
MAX_WAITING = 20_000  # items
MAX_RUNNING = 4  # batches

Run = Callable[[list[T]], Awaitable[Sequence[R | BaseException]]]


class _Entry(Generic[T, R]):
    """A waiting item, with the futures of all callers that wait for its result."""

    __slots__ = ("futures", "item", "size", "traces")

    def __init__(self, item: T, size: int) -> None:
        self.item, self.size = item, size
        self.futures: list[asyncio.Future[R]] = []
        self.traces: list[str] = []


class Batcher(Generic[T, R]):
    """Gathers items into batches, in the order of their submission.

    An item never joins a batch that has started, so a lookup sees every write that was finished before the lookup was
    submitted. Cancelling a caller does not stop its item. Batches run in an empty context: they have no caller, no
    request id and no deadline of their own.
    """

    def __init__(
        self,
        run: Run[T, R],
        window: float = 0.0,
        max_items: int = MAX_ITEMS,
        max_bytes: int | None = None,
        max_waiting: int = MAX_WAITING,
        dedupe: bool = False,
        *,
        size_of: Callable[[T], int] | None = None,
        max_running: int = MAX_RUNNING,
        first_window: float = 0.0,
        overloaded: type[HitokError] = Unavailable,
        name: str = "batch",
    ) -> None:
        """`run` returns one result for each item, in order; an exception among them is the failure of that item, and
        one that `run` raises is the failure of all.

        `window`: seconds in which items gather while a batch runs. `first_window`: seconds that an item waits for
        others when none runs; 0: only for those submitted in the same turn of the event loop.
        `max_bytes`: of one batch, by `size_of`; a larger item travels alone.
        `max_waiting`: items that may wait for their batch to start, beyond which `submit` raises `overloaded`.
        `dedupe`: equal (hashable) items that wait share one result; for lookups, never for writes.
        `name`: of the span around each batch.
        """
        if (max_bytes is None) != (size_of is None):
            raise ValueError("max_bytes and size_of belong together")
        self._run, self._window, self._first_window, self._name = run, window, first_window, name
        self._max_items, self._max_bytes, self._size_of = max_items, max_bytes, size_of
        self._max_waiting, self._max_running, self._overloaded = max_waiting, max_running, overloaded
        self._waiting: deque[_Entry[T, R]] = deque()
        self._by_item: dict[T, _Entry[T, R]] | None = {} if dedupe else None
        self._running = 0
        self._tasks: set[asyncio.Task[None]] = set()  # the event loop holds them weakly
        self._gathering = False  # a timer runs for the waiting items
        self._due = False  # the waiting items start as soon as fewer batches run

    def submit(self, item: T) -> asyncio.Future[R]:
        """Returns the future result. Raises `overloaded`."""
        if self._by_item is not None and (entry := self._by_item.get(item)):
            return self._join(entry)
        if len(self._waiting) >= self._max_waiting:
            raise self._overloaded("too many wait")
        return self._join(self._add(item))

    def submit_all(self, items: Sequence[T]) -> list[asyncio.Future[R]]:
        """Like `submit`, for all of the items or, if there is no room for all, for none."""
        if len(self._waiting) + len(items) > self._max_waiting:
            raise self._overloaded("too many wait")
        return [self.submit(item) for item in items]

    def _add(self, item: T) -> _Entry[T, R]:
        entry: _Entry[T, R] = _Entry(item, self._size_of(item) if self._size_of else 0)
        self._waiting.append(entry)
        if self._by_item is not None:
            self._by_item[item] = entry
        if not self._gathering and not self._due:
            self._gathering = True
            delay = self._window if self._running else self._first_window
            asyncio.get_running_loop().call_later(delay, self._end_gathering)
        return entry

    def _join(self, entry: _Entry[T, R]) -> asyncio.Future[R]:
        future: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        entry.futures.append(future)
        if trace := telemetry.here():
            entry.traces.append(trace)
        return future

    def _end_gathering(self) -> None:
        self._gathering, self._due = False, True
        self._start_batches()

    def _start_batches(self) -> None:
        while self._due and self._waiting and self._running < self._max_running:
            batch = self._take_batch()
            task = asyncio.get_running_loop().create_task(self._run_batch(batch), context=contextvars.Context())
            self._running += 1
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        self._due = self._due and bool(self._waiting)

    def _take_batch(self) -> list[_Entry[T, R]]:
        batch = [self._waiting.popleft()]
        size = batch[0].size
        while self._waiting and len(batch) < self._max_items:
            size += self._waiting[0].size
            if self._max_bytes is not None and size > self._max_bytes:
                break
            batch.append(self._waiting.popleft())
        if self._by_item is not None:
            for entry in batch:
                del self._by_item[entry.item]
        return batch

    async def _run_batch(self, batch: list[_Entry[T, R]]) -> None:
        try:
            with telemetry.gathering(self._name, (trace for entry in batch for trace in entry.traces)):
                results = await self._run([entry.item for entry in batch])
            if len(results) != len(batch):
                raise RuntimeError(f"{self._name}: {len(results)} results for {len(batch)} items")
        except Exception as error:  # any error, so that no caller waits for ever
            results = [error] * len(batch)
        except asyncio.CancelledError:
            for future in (future for entry in batch for future in entry.futures):
                future.cancel()
            raise
        finally:
            self._running -= 1  # before the callers learn it: their next items must not wait for this batch
            self._start_batches()
        for entry, result in zip(batch, results, strict=True):
            _answer(entry.futures, result)


def _answer(futures: Sequence[asyncio.Future[R]], result: R | BaseException) -> None:
    for future in futures:
        if future.done():
            continue  # its caller was cancelled
        if isinstance(result, BaseException):
            future.set_exception(result)
            future.exception()  # marks it as retrieved: the caller may be gone
        else:
            future.set_result(result)
