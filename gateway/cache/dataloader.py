"""Many lookups, few calls: what is asked for at the same moment travels as one batch RPC."""

import asyncio
import contextvars
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable, Iterable, Mapping
from itertools import islice
from time import monotonic  # the loop's own clock, without asking which loop
from typing import Generic, TypeVar

from services.kit import telemetry
from services.kit.errors import Unavailable

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

MAX_BATCH = 500  # what the services take
MAX_WAITING = 20_000  # keys
MAX_RUNNING = 4  # batches under way; the lookups that come meanwhile gather for the next


class DataLoader(Generic[K, V]):
    """Coalesces `load`s. A lookup never joins a batch already sent, so it sees every write that came before it."""

    def __init__(
        self,
        fetch: Callable[[list[K]], Awaitable[Mapping[K, V]]],
        window: float = 0.0,
        batch: int = MAX_BATCH,
        most: int = MAX_WAITING,
    ) -> None:
        """`fetch` gives what it found; a key it leaves out loads as None.

        `window`: seconds in which lookups gather while a batch is under way; a lone one waits for nobody.
        `batch`: keys in one. `most`: keys that may wait, beyond which `load` raises Unavailable.
        """
        self._fetch, self._window, self._batch, self._most = fetch, window, batch, most
        self._waiting: dict[K, list[asyncio.Future[V | None]]] = {}
        self._running: set[asyncio.Task[None]] = set()
        self._traces: list[str] = []
        self._scheduled = False

    def load(self, key: K) -> asyncio.Future[V | None]:
        """Raises what `fetch` raised, when awaited."""
        if len(self._waiting) >= self._most and key not in self._waiting:
            raise Unavailable("too many wait")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[V | None] = loop.create_future()
        self._waiting.setdefault(key, []).append(future)
        if trace := telemetry.here():
            self._traces.append(trace)
        if not self._scheduled:
            self._scheduled = True
            loop.call_later(self._window if self._running else 0, self._send)
        return future

    def _send(self) -> None:
        self._scheduled = False
        while self._waiting and len(self._running) < MAX_RUNNING:
            keys = list(islice(self._waiting, self._batch))
            batch = {key: self._waiting.pop(key) for key in keys}
            # An empty context: the batch is for many callers, and belongs to none of them.
            traces, self._traces = self._traces, []
            task = asyncio.get_running_loop().create_task(self._run(batch, traces), context=contextvars.Context())
            self._running.add(task)
            task.add_done_callback(self._finish)

    def _finish(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if not self._scheduled:
            self._send()

    async def _run(self, batch: dict[K, list[asyncio.Future[V | None]]], traces: list[str]) -> None:
        try:
            with telemetry.gathering("load", traces):
                found = await self._fetch(list(batch))
        except Exception as error:
            for future in (future for futures in batch.values() for future in futures if not future.done()):
                future.set_exception(error)
            return
        for key, futures in batch.items():
            for future in futures:
                if not future.done():
                    future.set_result(found.get(key))


class NearCache(Generic[K, V]):
    """A loader with a bounded memory of `ttl` seconds. Misses are remembered too."""

    def __init__(
        self, fetch: Callable[[list[K]], Awaitable[Mapping[K, V]]], ttl: float, size: int, window: float = 0.0
    ) -> None:
        self._loader = DataLoader(fetch, window)
        self._ttl, self._size = ttl, size
        self._entries: OrderedDict[K, tuple[float, V | None]] = OrderedDict()
        self._loading: dict[K, object] = {}
        self.hits = self.misses = 0  # keys, for metrics.py

    async def load(self, key: K) -> V | None:
        now = monotonic()
        entry = self._entries.get(key)
        if entry and now < entry[0]:
            self.hits += 1
            return entry[1]
        self.misses += 1
        return (await self._load_missing([key], now + self._ttl))[key]

    async def load_many(self, keys: Iterable[K]) -> dict[K, V]:
        """Of those keys that there is something for; what is not at hand travels as one batch."""
        now = monotonic()
        found, missing = {}, []
        for key in dict.fromkeys(keys):
            entry = self._entries.get(key)
            if entry and now < entry[0]:
                found[key] = entry[1]
            else:
                missing.append(key)
        self.hits += len(found)
        self.misses += len(missing)
        if missing:
            found |= await self._load_missing(missing, now + self._ttl)
        return {key: value for key, value in found.items() if value is not None}

    async def _load_missing(self, keys: list[K], expires: float) -> dict[K, V | None]:
        marks = {key: self._loading.setdefault(key, object()) for key in keys}
        current = []
        try:
            values = await asyncio.gather(*map(self._loader.load, keys))
        finally:
            for key, mark in marks.items():
                # A drop while we loaded took the mark away: what we hold may be older than that drop.
                if self._loading.get(key) is mark:
                    del self._loading[key]
                    current.append(key)
        found = dict(zip(keys, values, strict=True))
        for key in current:
            self._entries[key] = (expires, found[key])
        while len(self._entries) > self._size:
            self._entries.popitem(last=False)
        return found

    def drop(self, key: K) -> None:
        """Forgets the key, and what is being loaded for it."""
        self._entries.pop(key, None)
        self._loading.pop(key, None)

    def clear(self) -> None:
        """Forgets everything, as `drop` does."""
        self._entries.clear()
        self._loading.clear()


class Recent(Generic[K, V]):
    """Answers worth giving again for `ttl` seconds, bounded."""

    def __init__(self, ttl: float, size: int) -> None:
        self._ttl, self._size = ttl, size
        self._entries: OrderedDict[K, tuple[float, V]] = OrderedDict()

    def get(self, key: K) -> V | None:
        entry = self._entries.get(key)
        return entry[1] if entry and monotonic() < entry[0] else None

    def put(self, key: K, value: V) -> None:
        self._entries[key] = (monotonic() + self._ttl, value)
        self._entries.move_to_end(key)
        if len(self._entries) > self._size:
            self._entries.popitem(last=False)
