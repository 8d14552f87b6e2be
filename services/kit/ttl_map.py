"""A bounded map whose entries end after a while."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from time import monotonic
from typing import Generic, TypeVar, overload

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
D = TypeVar("D")


class TtlMap(Generic[K, V]):
    """When it is full, the entry that was put first makes room."""

    def __init__(self, ttl: float, max_size: int, clock: Callable[[], float] = monotonic) -> None:
        """`ttl`: seconds, by `clock`."""
        self._ttl, self._max_size, self._clock = ttl, max_size, clock
        self._entries: OrderedDict[K, tuple[V, float]] = OrderedDict()

    @overload
    def get(self, key: K) -> V | None: ...
    @overload
    def get(self, key: K, default: D) -> V | D: ...
    def get(self, key: K, default: object = None) -> object:
        """The value, or `default` if there is none or it has ended. For values that may be None see `entry`."""
        entry = self._entries.get(key)
        return entry[0] if entry and self._clock() < entry[1] else default

    def entry(self, key: K) -> tuple[V, float] | None:
        """The value and the time on the clock when it ends."""
        entry = self._entries.get(key)
        return entry if entry and self._clock() < entry[1] else None

    def put(self, key: K, value: V, until: float | None = None) -> None:
        """`until`: when it ends, on the clock; `ttl` from now if None."""
        self._entries[key] = (value, self._clock() + self._ttl if until is None else until)
        self._entries.move_to_end(key)
        if len(self._entries) > self._max_size:
            self._entries.popitem(last=False)

    def drop(self, key: K) -> None:
        self._entries.pop(key, None)

    def clear(self) -> None:
        self._entries.clear()

    def __len__(self) -> int:
        """Entries held, those that have ended included."""
        return len(self._entries)
