"""NearCache: a DataLoader that remembers what it loaded for a short time."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Iterable, Mapping
from time import monotonic  # the event loop's own clock, without the cost of finding the loop
from typing import Generic, TypeVar

from gateway.cache.dataloader import DataLoader
from gateway.cache.hearing import Lasting
from services.kit.ttl_map import TtlMap

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class NearCache(Generic[K, V]):
    """At most `size` entries for `ttl` seconds each, or for longer while the events that drop them are heard.

    That a key has no value is remembered for `ttl`, too.
    """

    def __init__(
        self,
        fetch: Callable[[list[K]], Awaitable[Mapping[K, V]]],
        ttl: float,
        size: int,
        window: float = 0.0,
        clock: Callable[[], float] = monotonic,
        lasting: Lasting | None = None,
    ) -> None:
        """`fetch` and `window` as DataLoader has them."""
        self._loader = DataLoader(fetch, window)
        self._ttl, self._clock, self._lasting = ttl, clock, lasting
        if lasting:
            lasting.caches.append(self)
        self._entries: TtlMap[K, V | None] = TtlMap(ttl, size, clock)
        self._loading: dict[K, object] = {}
        self.hits = self.misses = 0  # keys, for metrics.py

    def peek(self, key: K) -> V | None:
        """The value if it is here; a look that finds none is not counted as a miss."""
        entry = self._entries.entry(key)
        self.hits += entry is not None
        return entry[0] if entry else None

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
        asked_at, life = self._clock(), self._life()  # from before the load: what it brings may be as old as that
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
            if self._may_keep(key, value := found[key], asked_at):
                self._entries.put(key, value, asked_at + (self._ttl if value is None else life))
        return found

    def _life(self) -> float:
        """Seconds that a value lives which is asked for now."""
        return self._lasting.seconds if self._lasting and self._lasting.hears() else self._ttl

    def _may_keep(self, key: K, value: V | None, asked_at: float) -> bool:
        return True

    def drop(self, key: K) -> None:
        """Removes the value; a value that is being loaded for the key is returned to its callers but not kept."""
        self._entries.drop(key)
        self._loading.pop(key, None)

    def clear(self) -> None:
        """Drops every key."""
        self._entries.clear()
        self._loading.clear()
