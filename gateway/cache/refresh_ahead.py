"""A near cache that is renewed before it ends, so that a hot key makes nobody wait."""

import asyncio
import contextvars
from collections.abc import Awaitable, Callable, Hashable, Iterable, Mapping
from contextlib import suppress
from time import monotonic  # the loop's own clock, without asking which loop
from typing import TypeVar

import grpc.aio

from gateway.cache.dataloader import NearCache

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

GATHER = 0.05  # seconds in which what is due gathers: nobody waits for it
SHARE = 0.5  # of its life; who is asked for after that is loaded anew, while the old answer is still good


class RefreshAheadCache(NearCache[K, V]):
    def __init__(self, fetch: Callable[[list[K]], Awaitable[Mapping[K, V]]], ttl: float, size: int) -> None:
        super().__init__(fetch, ttl, size)
        self._renewing: set[K] = set()
        self._due: list[K] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def load(self, key: K) -> V | None:
        entry = self._entries.get(key)
        if entry and monotonic() < entry[0] - self._ttl * SHARE:
            self.hits += 1
            return entry[1]
        self._renew((key,))
        return await super().load(key)

    async def load_many(self, keys: Iterable[K]) -> dict[K, V]:
        wanted = list(keys)
        self._renew(wanted)
        return await super().load_many(wanted)

    def _renew(self, keys: Iterable[K]) -> None:
        now = monotonic()
        soon, get = now + self._ttl * SHARE, self._entries.get
        due = [key for key in keys if (entry := get(key)) and now < entry[0] < soon and key not in self._renewing]
        if due and not self._due:
            asyncio.get_running_loop().call_later(GATHER, self._send)
        self._due += due
        self._renewing.update(due)

    def _send(self) -> None:
        due, self._due = self._due, []
        # An empty context: it is for whoever comes next.
        task = asyncio.get_running_loop().create_task(self._load_again(due), context=contextvars.Context())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _load_again(self, keys: list[K]) -> None:
        try:
            with suppress(grpc.aio.AioRpcError):  # whoever asks when the old answer has ended is told
                await self._load_missing(keys, monotonic() + self._ttl)
        finally:
            self._renewing.difference_update(keys)
