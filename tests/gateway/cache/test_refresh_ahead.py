"""The cache that is renewed before it ends: nobody waits, one fetch for many, never older than a drop."""

import asyncio
from collections.abc import Mapping

from gateway.cache.refresh_ahead import RefreshAheadCache

TTL = 0.4


class Source:
    def __init__(self) -> None:
        self.version, self.fetches = 0, []  # type: ignore[var-annotated]

    async def fetch(self, keys: list[str]) -> Mapping[str, str]:
        self.fetches.append(sorted(keys))
        found = {key: f"{key}{self.version}" for key in keys}
        await asyncio.sleep(0.01)
        return found


async def test_it_is_renewed_while_the_old_answer_is_given() -> None:
    source = Source()
    cache = RefreshAheadCache(source.fetch, TTL, 10)
    assert await cache.load_many("abc") == {"a": "a0", "b": "b0", "c": "c0"}
    source.version = 1
    await asyncio.sleep(TTL * 0.6)
    for key in "abca":
        assert await cache.load(key) == f"{key}0"
    await asyncio.sleep(TTL * 0.3)
    assert source.fetches == [["a", "b", "c"]] * 2, "together, and once"
    assert [await cache.load(key) for key in "abc"] == ["a1", "b1", "c1"]


async def test_what_is_dropped_meanwhile_is_not_given_again() -> None:
    source = Source()
    cache = RefreshAheadCache(source.fetch, TTL, 10)
    await cache.load("a")
    await asyncio.sleep(TTL * 0.6)
    await cache.load("a")  # renews
    await asyncio.sleep(0.055)  # the renewal has read the old
    source.version = 1
    cache.drop("a")
    assert await cache.load("a") == "a1"
    await asyncio.sleep(0.05)
    assert await cache.load("a") == "a1"
