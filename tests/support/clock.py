"""A clock that tests move, in place of time.monotonic."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from gateway.cache.near_caches.near_cache import NearCache


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


@contextmanager
def stopped(cache: NearCache[Any, Any]) -> Iterator[Clock]:
    """Entries of the cache expire only when the test moves the clock."""
    clock, before = Clock(), cache._clock
    clock.now = before()
    cache._clock = cache._entries._clock = clock
    yield clock
    cache._clock = cache._entries._clock = before
