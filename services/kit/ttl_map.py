"""A bounded map whose entries expire."""

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable
from time import monotonic
from typing import Generic, TypeVar, overload

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
D = TypeVar("D")


class TtlMap(Generic[K, V]):
    """When the map is full, or its oldest entry has expired, a new entry replaces that one."""

    def __init__(self, ttl: float, max_size: int, clock: Callable[[], float] = monotonic) -> None:
        """`ttl`: seconds, measured by `clock`."""
        self._ttl, self._max_size, self._clock = ttl, max_size, clock
        self._entries: OrderedDict[K, tuple[V, float]] = OrderedDict()

    @overload
    def get(self, key: K) -> V | None: ...
    @overload
    def get(self, key: K, default: D) -> V | D: ...
    def get(self, key: K, default: object = None) -> object:
        """The value, or `default` if there is none or it has expired. If values may be None, use `entry`."""
        entry = self._entries.get(key)
        return entry[0] if entry and self._clock() < entry[1] else default

    def entry(self, key: K) -> tuple[V, float] | None:
        """The value and its expiry time on the clock."""
        entry = self._entries.get(key)
        return entry if entry and self._clock() < entry[1] else None

    def entries(self, keys: Iterable[K]) -> dict[K, tuple[V, float]]:
        """The entries of those keys that have one. One look at the clock serves them all."""
        now, entry_of = self._clock(), self._entries.get
        return {key: entry for key in keys if (entry := entry_of(key)) and now < entry[1]}

    def put(self, key: K, value: V, until: float | None = None) -> None:
        """`until`: the expiry time on the clock; None: `ttl` from now."""
        now = self._clock()
        self._entries[key] = (value, now + self._ttl if until is None else until)
        self._entries.move_to_end(key)
        oldest = next(iter(self._entries))
        if len(self._entries) > self._max_size or self._entries[oldest][1] <= now:
            del self._entries[oldest]

    def drop(self, key: K) -> None:
        self._entries.pop(key, None)

    def clear(self) -> None:
        self._entries.clear()

    def __len__(self) -> int:
        """The number of entries, including expired ones."""
        return len(self._entries)
