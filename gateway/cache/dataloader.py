"""DataLoader: lookups that are made at the same moment become one batch RPC."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Mapping
from typing import Generic, TypeVar

from services.kit.batcher import MAX_ITEMS, MAX_WAITING, Batcher

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class DataLoader(Generic[K, V]):
    """For reads only: lookups of one key that wait together share one result.

    A lookup never joins a batch that was already sent, so it sees every write that was finished before it.
    """

    def __init__(
        self,
        fetch: Callable[[list[K]], Awaitable[Mapping[K, V]]],
        window: float = 0.0,
        max_items: int = MAX_ITEMS,
        max_waiting: int = MAX_WAITING,
    ) -> None:
        """`fetch` returns what it found; a key that it leaves out loads as None.

        `window`: seconds in which lookups gather while a batch is under way; a lone lookup is sent at once.
        `max_items`: keys in a batch. `max_waiting`: keys that may wait, beyond which `load` raises Unavailable.
        """
        self._fetch = fetch
        self._batcher: Batcher[K, V | None] = Batcher(
            self._fetch_in_order, window, max_items, max_waiting=max_waiting, dedupe=True, name="load"
        )

    def load(self, key: K) -> asyncio.Future[V | None]:
        """Raises what `fetch` raised, when awaited; Unavailable at once."""
        return self._batcher.submit(key)

    async def _fetch_in_order(self, keys: list[K]) -> list[V | None]:
        found = await self._fetch(keys)
        return [found.get(key) for key in keys]
