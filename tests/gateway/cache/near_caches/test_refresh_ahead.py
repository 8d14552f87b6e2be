"""The cache that refreshes entries before they expire: nobody waits, one fetch serves many, nothing is older than a
drop."""

import asyncio
from collections.abc import Callable

from gateway.cache.near_caches.refresh_ahead import RefreshAheadCache
from tests.gateway.cache.source import Source
from tests.support.clock import Clock

TTL = 1.0


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.001)


async def test_it_is_refreshed_while_the_old_value_is_returned() -> None:
    source, clock = Source(a="a0", b="b0", c="c0"), Clock()
    cache = RefreshAheadCache(source.fetch, TTL, 10, clock)
    assert await cache.load_many("abc") == {"a": "a0", "b": "b0", "c": "c0"}
    source.values = {"a": "a1", "b": "b1", "c": "c1"}
    clock.advance(TTL * 0.4)
    await cache.load("a")
    assert not cache._refreshing, "it is too early"
    clock.advance(TTL * 0.2)
    for key in "abca":
        assert await cache.load(key) == f"{key}0"
    await until(lambda: not cache._refreshing)
    assert source.fetches == [["a", "b", "c"]] * 2, "together, and once"
    clock.advance(TTL * 0.9)
    assert [await cache.load(key) for key in "abc"] == ["a1", "b1", "c1"]


async def test_what_is_dropped_meanwhile_is_not_returned_again() -> None:
    source, clock = Source(a="a0"), Clock()
    cache = RefreshAheadCache(source.fetch, TTL, 10, clock)
    await cache.load("a")
    clock.advance(TTL * 0.6)
    source.open.clear()
    await cache.load("a")  # has it refreshed
    await until(lambda: len(source.fetches) == 2)  # the refresh has read the old value
    source.values = {"a": "a1"}
    cache.drop("a")
    source.open.set()
    assert await cache.load("a") == "a1"
    await until(lambda: not cache._refreshing)
    assert await cache.load("a") == "a1"
