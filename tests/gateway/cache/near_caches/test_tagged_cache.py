"""A near cache whose entries are dropped by what they are about."""

import asyncio
from collections.abc import Mapping

from gateway.cache.near_caches.tagged_cache import FEW, TaggedCache

Key = tuple[int, int]  # viewer and user


def make(ttl: float) -> TaggedCache[Key, int, int]:
    async def fetch(keys: list[Key]) -> Mapping[Key, int]:
        return {key: sum(key) for key in keys}

    return TaggedCache(fetch, ttl, 10_000, lambda key, _: key[1])


async def test_all_entries_with_a_tag_are_dropped_however_many_they_are() -> None:
    cache = make(60.0)
    keys = [(viewer, user) for viewer in range(3 * FEW) for user in (1, 2)]
    for start in range(0, len(keys), 50):
        await cache.load_many(keys[start : start + 50])
    cache.drop_tag(1)
    assert [key for key in keys if cache.peek(key)] == [key for key in keys if key[1] == 2]


async def test_the_keys_of_a_tag_do_not_grow_for_as_long_as_it_is_asked_for() -> None:
    """As those of the many who look at one user, of whom no event tells anything."""
    cache = make(0.01)
    for start in range(0, 40 * FEW, FEW):
        await cache.load_many((viewer, 1) for viewer in range(start, start + FEW))
        await asyncio.sleep(0.02)
    assert len(cache._keys.get(1, ())) <= 3 * FEW
