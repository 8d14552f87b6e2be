"""RefreshAheadCache: a near cache that reloads an entry before it expires, so that nobody waits for a hot key."""

import asyncio
import contextvars
from collections.abc import Awaitable, Callable, Hashable, Iterable, Mapping
from contextlib import suppress
from time import monotonic
from typing import TypeVar

import grpc.aio

from gateway.cache.hearing import Lasting
from gateway.cache.near_caches.near_cache import NearCache

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

GATHER_SECONDS = 0.05  # in which entries that are due gather for one reload; nobody waits for it
REFRESH_SHARE = 0.5  # of an entry's life; a later lookup triggers a reload, and still gets the old value


class RefreshAheadCache(NearCache[K, V]):
    def __init__(
        self,
        fetch: Callable[[list[K]], Awaitable[Mapping[K, V]]],
        ttl: float,
        size: int,
        clock: Callable[[], float] = monotonic,
        lasting: Lasting | None = None,
    ) -> None:
        super().__init__(fetch, ttl, size, clock=clock, lasting=lasting)
        self._refreshing: set[K] = set()
        self._due: list[K] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def load(self, key: K) -> V | None:
        entry = self._entries.entry(key)
        if entry is None:
            return await super().load(key)
        self.hits += 1
        if entry[1] < self._clock() + self._life() * REFRESH_SHARE:
            self._refresh([key])
        return entry[0]

    def _after_hits(self, entries: Mapping[K, tuple[V | None, float]]) -> None:
        soon = self._clock() + self._life() * REFRESH_SHARE
        if due := [key for key, (_, until) in entries.items() if until < soon]:
            self._refresh(due)

    def _refresh(self, keys: Iterable[K]) -> None:
        """Schedules a reload of the keys, but for those that have one."""
        due = [key for key in keys if key not in self._refreshing]
        if due and not self._due:
            asyncio.get_running_loop().call_later(GATHER_SECONDS, self._send)
        self._due += due
        self._refreshing.update(due)

    def _send(self) -> None:
        due, self._due = self._due, []
        # In an empty context: the reload belongs to no request.
        task = asyncio.get_running_loop().create_task(self._reload(due), context=contextvars.Context())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _reload(self, keys: list[K]) -> None:
        try:
            with suppress(grpc.aio.AioRpcError):  # if it fails again after the entry's end, the lookup raises it
                await self._load_missing(keys)
        finally:
            self._refreshing.difference_update(keys)
