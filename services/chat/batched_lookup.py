"""Lookups in other services: those made at the same moment travel in one call, and some results are cached."""

from collections.abc import Awaitable, Callable, Hashable, Sequence
from time import monotonic
from typing import Generic, TypeVar

import structlog

from services.kit.batcher import Batcher
from services.kit.errors import HitokError
from services.kit.ttl_map import TtlMap

MAX_CACHED = 50_000

K = TypeVar("K", bound=Hashable)
A = TypeVar("A")

log = structlog.get_logger("batched_lookup")


class BatchedLookup(Generic[K, A]):
    def __init__(
        self,
        ask: Callable[[Sequence[K]], Awaitable[Sequence[A]]],
        unavailable: type[HitokError],
        cache_seconds: Callable[[], float] = lambda: 0.0,
        may_cache: Callable[[A], bool] = lambda answer: False,
    ) -> None:
        """`ask` answers all of its keys, in their order; if it raises, each of them fails with `unavailable`.

        `cache_seconds`: how long an answer that arrives now may be cached.
        """
        self._ask, self._unavailable = ask, unavailable
        self._cache_seconds, self._may_cache = cache_seconds, may_cache
        self._cached: TtlMap[K, A] = TtlMap(0, MAX_CACHED)
        self._batches: Batcher[K, A] = Batcher(self._fetch, dedupe=True, overloaded=unavailable, name="ask")
        self._drops = 0

    async def get(self, key: K, fresh: bool = False) -> A:
        """`fresh`: not from the cache. Raises `unavailable`."""
        if not fresh and (cached := self._cached.entry(key)):
            return cached[0]
        return await self._batches.submit(key)

    def drop(self, *keys: K) -> None:
        """Forgets the answers for these keys, or all answers if there is no key."""
        self._drops += 1
        for key in keys:
            self._cached.drop(key)
        if not keys:
            self._cached.clear()

    async def _fetch(self, keys: Sequence[K]) -> Sequence[A]:
        drops = self._drops
        try:
            answers = await self._ask(keys)
        except Exception as error:
            log.warning("lookup failed", error=repr(error)[:200])
            raise self._unavailable from None
        if drops == self._drops:  # otherwise the answers may be older than the event that dropped them
            until = monotonic() + self._cache_seconds()
            for key, answer in zip(keys, answers, strict=True):
                if self._may_cache(answer):
                    self._cached.put(key, answer, until)
        return answers
