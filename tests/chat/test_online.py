"""Which users are online by their WebSockets and requests, in Valkey. The clock is moved by hand."""

import time
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from services.chat import online
from services.chat.online import OnlineIndex
from services.kit.cursor import CursorInvalid
from services.valkey.client import open_redis
from tests.support.servers import Servers
from tests.support.social import new_user, new_users

KEY = "online-of-these-tests"


class Clock:
    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def redis(servers: Servers, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Redis]:
    monkeypatch.setattr(online, "ONLINE", KEY)
    async with open_redis(servers.redis_url) as redis:
        yield redis
        await redis.delete(KEY)


@pytest.fixture
def index(redis: Redis, clock: Clock) -> OnlineIndex:
    return OnlineIndex(redis, clock)


async def refresh(index: OnlineIndex, user: int, **ends: float | None) -> list[tuple[int, bool]]:
    return [change async for change in index.refresh({user: ends})]


async def test_a_user_is_online_until_the_last_of_theirs_ends(index: OnlineIndex, clock: Clock) -> None:
    user = new_user()
    assert await refresh(index, user, socket=clock.now + 90, request=clock.now + 60) == [(user, True)]
    assert await refresh(index, user, socket=None) == [], "the request still counts"
    clock.now += 59
    assert await index.among([user, 1]) == {user}
    clock.now += 1
    assert await index.among([user]) == set()
    assert await index.take_expired() == [user]
    assert await index.take_expired() == []
    assert await refresh(index, user, request=clock.now + 60) == [(user, True)]
    assert await refresh(index, user, request=None) == [(user, False)]
    assert (await index.page("", 0, 10)).user_ids == []


async def test_an_older_report_that_arrives_later_changes_nothing(index: OnlineIndex, clock: Clock) -> None:
    user = new_user()
    await refresh(index, user, request=clock.now + 60)
    await refresh(index, user, request=clock.now + 10)
    clock.now += 30
    assert await index.among([user]) == {user}
    assert await refresh(index, new_user(), request=clock.now - 1) == [], "it ended before it was reported"


async def test_pages_cover_all_of_whom_each_stays_for_longer_than_the_next(index: OnlineIndex, clock: Clock) -> None:
    users = new_users(7)
    for number, user in enumerate(users):
        await refresh(index, user, socket=clock.now + 90 - number * 1e-6)
    first = await index.page("", 0, 3)
    assert first.user_ids == users[:3]
    newcomer = new_user()
    for user in (newcomer, users[6]):  # neither shifts the rest
        await refresh(index, user, socket=clock.now + 95)
    second = await index.page(first.next_cursor, 0, 3)
    assert (second.user_ids, second.next_cursor) == (users[3:6], "")
    assert (await index.page("", 5, 3)).user_ids == users[3:6]
    clock.now += 90
    assert set((await index.page("", 0, 10)).user_ids) == {newcomer, users[6]}


@pytest.mark.parametrize("cursor", ["x", "WzFd" * 9, "WyJhIl0", "W10", "W251bGxd"])
async def test_made_up_cursors(index: OnlineIndex, cursor: str) -> None:
    with pytest.raises(CursorInvalid):
        await index.page(cursor, 0, 10)
