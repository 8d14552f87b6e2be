"""DataLoader and near cache: few fetches, and never a stale answer after one's own write."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from contextvars import ContextVar

import pytest

from gateway.cache.dataloader import DataLoader
from gateway.cache.near_caches.near_cache import NearCache
from services.kit.batcher import MAX_ITEMS, MAX_RUNNING
from services.kit.errors import Unavailable
from tests.gateway.cache.source import Source
from tests.support.clock import Clock


async def load(loader: DataLoader[str, str] | NearCache[str, str], key: str) -> str | None:
    return await loader.load(key)


async def test_loads_of_one_moment_travel_together() -> None:
    source = Source(a="1", b="2")
    loader = DataLoader(source.fetch)

    found = await asyncio.gather(*(load(loader, key) for key in "abacab" * 10))

    assert found == ["1", "2", "1", None, "1", "2"] * 10
    assert source.fetches == [["a", "b", "c"]]


async def test_loads_of_different_moments_travel_apart() -> None:
    source = Source(a="1")
    loader = DataLoader(source.fetch)
    assert [await load(loader, "a") for _ in range(3)] == ["1"] * 3
    assert source.fetches == [["a"]] * 3


async def test_a_load_after_a_write_never_joins_an_earlier_fetch() -> None:
    source = Source(a="old")
    source.open.clear()
    loader = DataLoader(source.fetch)
    early = asyncio.create_task(load(loader, "a"))
    await source.until_fetched(1)

    source.values["a"] = "new"
    late = asyncio.create_task(load(loader, "a"))
    await source.until_fetched(2)
    source.open.set()

    assert (await early, await late) == ("old", "new")


async def test_an_error_reaches_all_who_wait_and_nobody_after() -> None:
    source = Source(a="1")
    source.error = RuntimeError("away")
    loader = DataLoader(source.fetch)

    found = await asyncio.gather(*(load(loader, key) for key in "aab"), return_exceptions=True)

    assert found == [source.error] * 3
    source.error = None
    assert await load(loader, "a") == "1"


@pytest.mark.parametrize("kind", [DataLoader, NearCache])
async def test_one_who_gives_up_does_not_disturb_the_others(kind: type) -> None:
    source = Source(a="1")
    source.open.clear()
    loader = DataLoader(source.fetch) if kind is DataLoader else NearCache(source.fetch, 60, 10)
    tasks = [asyncio.create_task(load(loader, "a")) for _ in range(3)]
    await source.until_fetched(1)

    tasks[0].cancel()
    source.open.set()

    assert await asyncio.gather(*tasks[1:]) == ["1", "1"]
    assert tasks[0].cancelled()
    assert await load(loader, "a") == "1"


async def test_all_may_give_up() -> None:
    source = Source(a="1")
    source.open.clear()
    loader = DataLoader(source.fetch)
    task = asyncio.create_task(load(loader, "a"))
    await source.until_fetched(1)
    task.cancel()
    source.error = RuntimeError("nobody hears of it")
    source.open.set()
    await asyncio.sleep(0)
    source.error = None

    assert await load(loader, "a") == "1"


async def test_a_batch_is_no_larger_than_the_services_take() -> None:
    source = Source(**{f"k{number}": str(number) for number in range(1_234)})
    loader = DataLoader(source.fetch)

    found = await asyncio.gather(*(load(loader, key) for key in source.values))

    assert found == list(source.values.values())
    assert [len(keys) for keys in source.fetches] == [MAX_ITEMS, MAX_ITEMS, 234]


async def test_few_batches_run_at_a_time_and_the_rest_gathers() -> None:
    source = Source()
    source.open.clear()
    loader = DataLoader(source.fetch)
    tasks = []
    for number in range(20):
        tasks.append(asyncio.create_task(load(loader, f"k{number}")))
        await asyncio.sleep(0.001)
    assert len(source.fetches) == MAX_RUNNING

    source.open.set()
    await asyncio.gather(*tasks)

    assert len(source.fetches) == MAX_RUNNING + 1
    assert len(source.fetches[-1]) == 20 - MAX_RUNNING


async def test_with_a_window_a_lone_load_waits_for_nobody_and_those_behind_it_gather() -> None:
    source = Source()
    source.open.clear()
    loader = DataLoader(source.fetch, window=0.5)
    tasks = [asyncio.create_task(load(loader, "first"))]
    await source.until_fetched(1)
    began = time.monotonic()
    for number in range(50):
        tasks.append(asyncio.create_task(load(loader, f"k{number}")))
        await asyncio.sleep(0)
    source.open.set()  # the first is answered, which sends nobody before the window ends

    await asyncio.gather(*tasks)

    assert [len(keys) for keys in source.fetches] == [1, 50]
    assert time.monotonic() - began >= 0.49
    began = time.monotonic()
    await load(loader, "later")
    assert time.monotonic() - began < 0.45


async def test_a_batch_may_be_told_to_be_small_and_few_may_wait() -> None:
    source = Source()
    source.open.clear()
    loader = DataLoader(source.fetch, max_items=10, max_waiting=60)
    loads = [loader.load(f"k{number}") for number in range(60)]
    with pytest.raises(Unavailable):
        loader.load("one more")
    loads.append(loader.load("k59"))  # waits already
    await source.until_fetched(MAX_RUNNING)
    loads.append(loader.load("now there is room"))
    source.open.set()
    await asyncio.gather(*loads)
    assert [len(keys) for keys in source.fetches] == [10] * 6 + [1]


async def test_a_batch_belongs_to_none_of_its_callers() -> None:
    who: ContextVar[str] = ContextVar("who", default="nobody")
    seen = []

    async def fetch(keys: Sequence[str]) -> Mapping[str, str]:
        seen.append(who.get())
        return {}

    who.set("somebody")
    await load(DataLoader(fetch), "a")

    assert seen == ["nobody"]


async def test_the_near_cache_answers_by_itself_for_a_while() -> None:
    source, clock = Source(a="old"), Clock()
    cache = NearCache(source.fetch, 3, 10, clock=clock)
    assert await load(cache, "a") == "old"
    source.values["a"] = "new"

    clock.advance(2.5)
    assert await load(cache, "a") == "old"
    clock.advance(1)
    assert await load(cache, "a") == "new"
    assert len(source.fetches) == 2


async def test_what_was_at_hand_and_what_was_not_is_counted() -> None:
    cache = NearCache(Source(a="1", b="2").fetch, 60, 10)
    await load(cache, "a")
    await load(cache, "a")
    await cache.load_many(["a", "b", "c"])
    await cache.load_many(["a", "b", "c"])
    assert (cache.hits, cache.misses) == (5, 3)


async def test_that_there_is_nothing_is_remembered_too() -> None:
    source = Source()
    cache = NearCache(source.fetch, 60, 10)
    assert [await load(cache, "a") for _ in range(3)] == [None] * 3
    assert len(source.fetches) == 1


async def test_an_error_is_not_remembered() -> None:
    source = Source(a="1")
    source.error = RuntimeError("away")
    cache = NearCache(source.fetch, 60, 10)
    for _ in range(2):
        with pytest.raises(RuntimeError, match="away"):
            await load(cache, "a")
    source.error = None
    assert await load(cache, "a") == "1"


async def test_what_is_dropped_is_fetched_anew() -> None:
    source = Source(a="old", b="old")
    cache = NearCache(source.fetch, 60, 10)
    assert [await load(cache, key) for key in "ab"] == ["old", "old"]
    source.values |= {"a": "new", "b": "new"}

    cache.drop("a")
    cache.drop("never heard of")

    assert [await load(cache, key) for key in "ab"] == ["new", "old"]


async def test_a_drop_during_a_load_makes_it_forget_what_it_brings() -> None:
    source = Source(a="old")
    source.open.clear()
    cache = NearCache(source.fetch, 60, 10)
    early = asyncio.create_task(load(cache, "a"))
    await source.until_fetched(1)

    source.values["a"] = "new"
    cache.drop("a")
    late = asyncio.create_task(load(cache, "a"))
    await source.until_fetched(2)
    source.open.set()

    assert (await early, await late) == ("old", "new")
    assert await load(cache, "a") == "new"
    assert len(source.fetches) == 2, "the later load is remembered"


async def test_a_drop_between_two_overlapping_loads_is_kept() -> None:
    """The first to come back must not let the second remember what is older than the drop."""
    source = Source(a="old")
    source.open.clear()
    cache = NearCache(source.fetch, 60, 10)
    first = asyncio.create_task(load(cache, "a"))
    await source.until_fetched(1)
    second = asyncio.create_task(load(cache, "a"))
    await source.until_fetched(2)
    source.values["a"] = "new"
    cache.drop("a")
    source.open.set()

    assert {await first, await second} == {"old"}
    assert await load(cache, "a") == "new"


async def test_clearing_drops_all_and_what_is_under_way() -> None:
    source = Source(a="old", b="old")
    cache = NearCache(source.fetch, 60, 10)
    await load(cache, "a")
    source.open.clear()
    loading = asyncio.create_task(load(cache, "b"))
    await source.until_fetched(2)

    source.values |= {"a": "new", "b": "new"}
    cache.clear()
    source.open.set()
    await loading

    assert [await load(cache, key) for key in "ab"] == ["new", "new"]


async def test_many_keys_travel_once_and_come_back_without_the_unknown() -> None:
    source = Source(a="1", b="2", c="3")
    cache = NearCache(source.fetch, 60, 10)
    await load(cache, "a")

    assert await cache.load_many("abcxab") == {"a": "1", "b": "2", "c": "3"}
    assert await cache.load_many("abcx") == {"a": "1", "b": "2", "c": "3"}
    assert await cache.load_many("") == {}

    assert source.fetches == [["a"], ["b", "c", "x"]]


async def test_a_failed_load_of_many_leaves_no_trace() -> None:
    source = Source(a="1", b="2")
    source.error = RuntimeError("away")
    cache = NearCache(source.fetch, 60, 10)
    with pytest.raises(RuntimeError, match="away"):
        await cache.load_many("ab")
    source.error = None
    assert await cache.load_many("ab") == {"a": "1", "b": "2"}
    assert not cache._loading


async def test_the_near_cache_keeps_only_so_many() -> None:
    source = Source()
    cache = NearCache(source.fetch, 60, 3)
    for key in "abcde":
        await load(cache, key)
    await cache.load_many("vwxyz")

    assert len(cache._entries) == 3
    assert all(cache._entries.entry(key) for key in "xyz")
    assert not cache._loading
