"""A near cache that is renewed before it ends, so that a hot key makes nobody wait."""

import asyncio
import contextvars
from collections.abc import Awaitable, Callable, Hashable, Iterable, Mapping
from contextlib import suppress
from typing import TypeVar

import grpc.aio

from gateway.loaders import NearCache

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

SHARE = 0.5  # of its life; who is asked for after that is loaded anew, while the old answer is still good


class AheadCache(NearCache[K, V]):
    def __init__(self, fetch: Callable[[list[K]], Awaitable[Mapping[K, V]]], ttl: float, size: int) -> None:
        super().__init__(fetch, ttl, size)
        self._renewing: dict[K, asyncio.Task[None]] = {}

    async def load(self, key: K) -> V | None:
        self._renew((key,))
        return await super().load(key)

    async def load_many(self, keys: Iterable[K]) -> dict[K, V]:
        wanted = list(keys)
        self._renew(wanted)
        return await super().load_many(wanted)

    def _renew(self, keys: Iterable[K]) -> None:
        now = asyncio.get_running_loop().time()
        soon = now + self._ttl * SHARE
        due = [
            key
            for key in keys
            if (entry := self._entries.get(key)) and now < entry[0] < soon and key not in self._renewing
        ]
        if due:
            # An empty context: it is for whoever comes next.
            task = asyncio.get_running_loop().create_task(self._load_again(due), context=contextvars.Context())
            self._renewing |= dict.fromkeys(due, task)

    async def _load_again(self, keys: list[K]) -> None:
        try:
            with suppress(grpc.aio.AioRpcError):  # whoever asks when the old answer has ended is told
                await self._load_missing(keys, asyncio.get_running_loop().time() + self._ttl)
        finally:
            for key in keys:
                del self._renewing[key]
