"""NearCache: a DataLoader that remembers what it loaded for a short time."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Iterable, Mapping
from time import monotonic  # the event loop's own clock, without the cost of finding the loop
from typing import Generic, TypeVar

from gateway.cache.dataloader import DataLoader
from services.kit.ttl_map import TtlMap

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class NearCache(Generic[K, V]):
    """At most `size` entries for `ttl` seconds each. That a key has no value is remembered, too."""

    def __init__(
        self,
        fetch: Callable[[list[K]], Awaitable[Mapping[K, V]]],
        ttl: float,
        size: int,
        window: float = 0.0,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        """`fetch` and `window` as DataLoader has them."""
        self._loader = DataLoader(fetch, window)
        self._ttl, self._clock = ttl, clock
        self._entries: TtlMap[K, V | None] = TtlMap(ttl, size, clock)
        self._loading: dict[K, object] = {}
        self.hits = self.misses = 0  # keys, for metrics.py

    async def load(self, key: K) -> V | None:
        if entry := self._entries.entry(key):
            self.hits += 1
            return entry[0]
        self.misses += 1
        return (await self._load_missing([key]))[key]

    async def load_many(self, keys: Iterable[K]) -> dict[K, V]:
        """The values of the keys that have one. Keys that are not in the cache are loaded as one batch."""
        wanted = list(keys)
        entries = self._entries.entries(wanted)
        self._after_hits(entries)
        self.hits += len(entries)
        found = {key: value for key, (value, _) in entries.items() if value is not None}
        if len(entries) < len(wanted) and (missing := list(dict.fromkeys(key for key in wanted if key not in entries))):
            self.misses += len(missing)
            loaded = await self._load_missing(missing)
            found |= {key: value for key, value in loaded.items() if value is not None}
        return found

    def _after_hits(self, entries: Mapping[K, tuple[V | None, float]]) -> None:
        """`entries`: what a lookup of many keys found, with the times at which it expires."""

    async def _load_missing(self, keys: list[K]) -> dict[K, V | None]:
        expires = self._clock() + self._ttl  # from before the load: what it brings may be as old as that
        marks = {key: self._loading.setdefault(key, object()) for key in keys}
        unchanged = []
        try:
            values = await asyncio.gather(*map(self._loader.load, keys))
        finally:
            for key, mark in marks.items():
                # A drop during the load has taken the mark away: the loaded value may be older than the drop.
                if self._loading.get(key) is mark:
                    del self._loading[key]
                    unchanged.append(key)
        found = dict(zip(keys, values, strict=True))
        for key in unchanged:
            self._entries.put(key, found[key], expires)
        return found

    def drop(self, key: K) -> None:
        """Removes the value; a value that is being loaded for the key is returned to its callers but not kept."""
        self._entries.drop(key)
        self._loading.pop(key, None)

    def clear(self) -> None:
        """Drops every key."""
        self._entries.clear()
        self._loading.clear()
