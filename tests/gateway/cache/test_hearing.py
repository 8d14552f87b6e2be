"""Entries live long only while the events that drop them are heard."""

import asyncio
from typing import Any, cast

import msgspec
import pytest
from nats.aio.client import Client as Nats

from gateway.api.fragments import Fragments
from gateway.cache.hearing import LASTING, SILENCE, Hearing
from gateway.cache.near_caches.near_cache import NearCache
from gateway.cache.near_caches.tagged_cache import TaggedCache
from gateway.cache.tells import Changes, Tells
from tests.gateway.cache.source import Source
from tests.support.clock import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def hearing(clock: Clock) -> Hearing:
    return Hearing(clock)


def cache_of(source: Source, hearing: Hearing, clock: Clock, ttl: float = 1.0) -> NearCache[str, str]:
    return NearCache(source.fetch, ttl, 10, clock=clock, lasting=hearing.lasting("user"))


async def test_an_entry_lives_long_while_its_service_is_heard(hearing: Hearing, clock: Clock) -> None:
    source = Source(a="1")
    cache = cache_of(source, hearing, clock)
    hearing.beat("user")
    await cache.load("a")
    for _ in range(int(LASTING) - 1):
        clock.advance(1)
        hearing.beat("user")
        hearing.look()
        assert await cache.load("a") == "1"
    assert len(source.fetches) == 1
    clock.advance(1)
    await cache.load("a")
    assert len(source.fetches) == 2


async def test_silence_ends_what_was_kept(hearing: Hearing, clock: Clock) -> None:
    source = Source(a="1")
    cache = cache_of(source, hearing, clock)
    hearing.beat("user")
    hearing.look()
    await cache.load("a")
    clock.advance(SILENCE)
    hearing.look()
    await cache.load("a")
    assert len(source.fetches) == 2
    clock.advance(1)  # the life without events
    await cache.load("a")
    assert len(source.fetches) == 3


async def test_a_silence_that_nobody_looked_at_ends_what_was_kept_before(hearing: Hearing, clock: Clock) -> None:
    source = Source(a="1")
    cache = cache_of(source, hearing, clock)
    hearing.beat("user")
    await cache.load("a")
    clock.advance(SILENCE)
    hearing.beat("user")
    await cache.load("a")
    assert len(source.fetches) == 2


async def test_beats_are_wanted_while_an_entry_may_live(hearing: Hearing, clock: Clock) -> None:
    cache = cache_of(Source(a="1"), hearing, clock)
    assert hearing.is_wanted(), "at the start"
    clock.advance(LASTING)
    assert not hearing.is_wanted()
    await cache.load("a")
    assert hearing.stirred.is_set(), "nothing was heard"
    assert hearing.is_wanted()
    hearing.beat("user")
    clock.advance(1)
    await cache.load("a")
    assert hearing.is_wanted()
    clock.advance(LASTING - 1)
    assert hearing.is_wanted()
    clock.advance(1)
    assert not hearing.is_wanted()
    assert not hearing.hears_any()


async def test_another_service_does_not_count(hearing: Hearing, clock: Clock) -> None:
    source = Source(a="1")
    cache = cache_of(source, hearing, clock, ttl=0.0)
    hearing.beat("social")
    await cache.load("a")
    await cache.load("a")
    assert len(source.fetches) == 2, "without a life of its own it is not kept"


async def test_a_new_connection_drops_all(hearing: Hearing, clock: Clock) -> None:
    source = Source(a="1")
    cache = cache_of(source, hearing, clock)
    hearing.beat("user")
    await cache.load("a")
    hearing.forget()
    assert not hearing.hears("user")
    await cache.load("a")
    assert len(source.fetches) == 2


async def test_that_there_is_none_is_not_kept_for_long(hearing: Hearing, clock: Clock) -> None:
    source = Source()
    cache = cache_of(source, hearing, clock)
    hearing.beat("user")
    assert await cache.load("a") is None
    clock.advance(1)
    assert await cache.load("a") is None
    assert len(source.fetches) == 2


async def test_entries_are_dropped_by_what_they_are_about() -> None:
    source = Source(a="1", b="1", c="2")
    cache: TaggedCache[str, str, str] = TaggedCache(source.fetch, 60, 10, lambda _, value: value)
    await cache.load_many("abc")
    cache.drop_tag("1")
    assert [cache.peek(key) for key in "abc"] == [None, None, "2"]


async def test_what_is_being_loaded_for_a_dropped_tag_is_not_kept() -> None:
    began, goes_on = asyncio.Event(), asyncio.Event()

    async def fetch(keys: list[str]) -> dict[str, str]:
        began.set()
        await goes_on.wait()
        return dict.fromkeys(keys, "tag")

    cache: TaggedCache[str, str, str] = TaggedCache(fetch, 60, 10, lambda _, value: value)
    loading = asyncio.create_task(cache.load("a"))
    await began.wait()
    cache.drop_tag("tag")
    goes_on.set()
    assert await loading == "tag"
    assert cache.peek("a") is None


class Wire:
    """What a client publishes."""

    is_connected = True

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.came = asyncio.Event()

    async def publish(self, subject: str, data: bytes) -> None:
        self.sent.append(data)
        self.came.set()


async def test_changes_of_one_moment_are_told_together_and_only_to_others() -> None:
    wire = Wire()
    ours, theirs = Tells(cast(Nats, wire)), Tells(cast(Nats, Wire()))
    running = asyncio.create_task(ours.run())
    for video_id in (7, 7, 8):
        ours.video(video_id, liker_id=1)
    ours.user(5)
    await wire.came.wait()
    running.cancel()
    (message,) = wire.sent
    told = theirs.read(message)
    assert (sorted(told.videos), told.likers, told.users) == ([7, 8], [1], [5])
    assert ours.read(message) == Changes()


def test_a_fragment_is_written_anew_when_its_source_is_another() -> None:
    written: list[Any] = []

    def view(source: list[int]) -> list[int]:
        written.append(source)
        return source

    fragments: Fragments[list[int]] = Fragments(view)
    card = [1]
    for source in (card, card, [1]):
        assert msgspec.json.encode(fragments.of(1, source)) == b"[1]"
    assert len(written) == 2
