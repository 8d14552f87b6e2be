"""TaggedCache: a near cache whose entries an event drops by what they are about, without knowing their keys."""

from collections.abc import Awaitable, Callable, Hashable, Mapping
from typing import Generic, TypeVar

from gateway.cache.hearing import LASTING, Lasting
from gateway.cache.near_caches.near_cache import NearCache
from services.kit.ttl_map import TtlMap

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
T = TypeVar("T", bound=Hashable)

FEW = 64  # keys of a tag among which those of ended entries are not looked for


class _Keys(set[K]):
    """The keys with a tag. At `limit` those whose entries have ended are taken out."""

    limit = FEW


class TaggedCache(NearCache[K, V], Generic[K, V, T]):
    def __init__(
        self,
        fetch: Callable[[list[K]], Awaitable[Mapping[K, V]]],
        ttl: float,
        size: int,
        tag_of: Callable[[K, V], T],
        window: float = 0.0,
        lasting: Lasting | None = None,
    ) -> None:
        super().__init__(fetch, ttl, size, window, lasting=lasting)
        self._tag_of = tag_of
        # A tag is as young as its youngest entry, so one that leaves the full map has no entry left in the cache.
        self._keys: TtlMap[T, _Keys[K]] = TtlMap(2 * max(ttl, LASTING), size)
        self._dropped: TtlMap[T, float] = TtlMap(2 * max(ttl, LASTING), size)  # when

    def _may_keep(self, key: K, value: V | None, asked_at: float) -> bool:
        if value is None:
            return True
        tag = self._tag_of(key, value)
        keys = self._keys.get(tag) or _Keys()
        if len(keys) >= keys.limit:
            keys.intersection_update(self._entries.entries(keys))
            keys.limit = max(2 * len(keys), FEW)
        keys.add(key)
        self._keys.put(tag, keys)
        return self._dropped.get(tag, 0.0) < asked_at

    def drop_tag(self, tag: T) -> None:
        """Drops all entries with that tag, also those that are being loaded."""
        self._dropped.put(tag, self._clock())
        for key in self._keys.get(tag, ()):
            self.drop(key)
        self._keys.drop(tag)
