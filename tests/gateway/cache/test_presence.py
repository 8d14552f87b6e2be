"""Who is online: what is written to Valkey, when, and what the online routes make of it."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from redis.asyncio import Redis

from gateway.cache import presence as presence_module
from gateway.cache.presence import Page, Presence
from services.kit.cursor import CursorInvalid
from services.kit.redis import open_redis
from tests.support import social as graph
from tests.support.gateway import FrontEnd, RunningGateway, gateway_settings, running_gateway
from tests.support.people import Person, new_people, new_person
from tests.support.servers import Servers, private_valkey
from tests.support.social import Running as Social
from tests.support.user import Running as Users

KEY = "presence-of-these-tests"


@pytest.fixture
async def redis(servers: Servers, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Redis]:
    monkeypatch.setattr(presence_module, "KEY", KEY)
    async with open_redis(servers.redis_url) as redis:
        yield redis
        await redis.delete(KEY)


@pytest.fixture
async def presence(redis: Redis) -> AsyncIterator[Presence]:
    presence = Presence(redis)
    async with presence.flushing():
        yield presence


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(5):
        while not await condition():  # noqa: ASYNC110 (another process's state)
            await asyncio.sleep(0.005)


async def until_known(redis: Redis, count: int) -> None:
    async def known() -> bool:
        return await redis.zcard(KEY) == count

    await until(known)


class TestTouching:
    async def test_a_newcomer_is_written_at_once(self, presence: Presence, redis: Redis) -> None:
        started = time.monotonic()
        presence.touch(1)
        await until_known(redis, 1)
        assert time.monotonic() - started < 0.5
        assert await presence.online_of([1, 2]) == {1}
        assert (await presence.page("", 0, 10)).user_ids == [1]

    async def test_the_next_requests_write_nothing(self, presence: Presence, redis: Redis) -> None:
        presence.touch(1)
        await until_known(redis, 1)
        score = await redis.zscore(KEY, "1")
        for _ in range(100):
            presence.touch(1)
        await asyncio.sleep(presence_module.FLUSH_EVERY * 1.2)
        assert await redis.zscore(KEY, "1") == score

    async def test_who_was_seen_since_is_written_again_and_who_was_not_is_forgotten(
        self, presence: Presence, redis: Redis, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(presence_module, "TOUCH_EVERY", 0.1)
        monkeypatch.setattr(presence_module, "FLUSH_EVERY", 0.05)
        for user_id in (1, 2):
            presence.touch(user_id)
        await until_known(redis, 2)
        first, idle = await redis.zmscore(KEY, ["1", "2"])
        presence.touch(1)
        await asyncio.sleep(0.4)
        second, still = await redis.zmscore(KEY, ["1", "2"])
        assert first < second < time.time() * 1e6
        assert still == idle
        assert not presence._known  # neither came again

    async def test_a_minute_later_one_is_gone_and_the_row_too(
        self, presence: Presence, redis: Redis, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        old, recent = time.time() - 61, time.time() - 58
        await redis.zadd(KEY, {"1": old * 1e6, "2": recent * 1e6})
        assert await presence.online_of([1, 2]) == {2}
        assert (await presence.page("", 0, 10)).user_ids == [2]
        presence.touch(3)

        async def swept() -> bool:
            old, new = await redis.zmscore(KEY, ["1", "3"])
            return old is None and new is not None

        await until(swept)
        assert await presence.online_of([1, 2, 3]) == {2, 3}

    async def test_a_thousand_at_once(self, presence: Presence, redis: Redis) -> None:
        started = time.perf_counter()
        for user_id in range(1, 3_001):
            presence.touch(user_id)
        assert time.perf_counter() - started < 0.1
        await until_known(redis, 3_000)
        assert len(await presence.online_of(range(1, 4_001))) == 3_000

    async def test_memory_is_bounded(self, redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(presence_module, "MAX_KNOWN", 10)
        monkeypatch.setattr(presence_module, "MAX_WAITING", 5)
        presence = Presence(redis)  # nobody flushes it
        for user_id in range(100):
            presence.touch(user_id)
        assert (len(presence._known), len(presence._waiting)) == (10, 5)


class TestPages:
    async def test_the_last_seen_come_first_and_cursors_cover_all(self, presence: Presence, redis: Redis) -> None:
        now = int(time.time() * 1e6)
        await redis.zadd(KEY, {str(user_id): now - user_id for user_id in range(1, 8)})
        first = await presence.page("", 0, 3)
        assert first.user_ids == [1, 2, 3]
        await redis.zadd(KEY, {"7": now + 5, "9": now + 6})  # who comes or is seen again does not shift the rest
        second = await presence.page(first.next_cursor, 0, 3)
        assert second == Page([4, 5, 6], "")
        assert (await presence.page("", 5, 3)).user_ids == [4, 5, 6]

    async def test_a_page_is_read_once_a_second_unless_someone_comes(self, presence: Presence, redis: Redis) -> None:
        assert (await presence.page("", 0, 10)).user_ids == []
        await redis.zadd(KEY, {"1": time.time() * 1e6})  # by another gateway
        assert (await presence.page("", 0, 10)).user_ids == []
        presence.touch(2)
        await until_known(redis, 2)
        await asyncio.sleep(0.01)
        assert set((await presence.page("", 0, 10)).user_ids) == {1, 2}

    @pytest.mark.parametrize("cursor", ["x", "WzFd" * 9, "Wy0xXQ", "WyJhIl0", "W10"])
    async def test_made_up_cursors(self, presence: Presence, cursor: str) -> None:
        with pytest.raises(CursorInvalid):
            await presence.page(cursor, 0, 10)


class TestWithoutValkey:
    async def test_nobody_is_known_online_and_nothing_waits(self, tmp_path: Path) -> None:
        with private_valkey(tmp_path) as valkey:
            async with open_redis(valkey.url) as redis:
                presence = Presence(redis)
                async with presence.flushing():
                    valkey.stop()
                    presence.touch(1)
                    assert await presence.online_of([1]) == set()
                    started = time.monotonic()
                    for limit in range(1, 100):
                        assert await presence.page("", 0, limit) == Page((), "")
                        assert await presence.online_of([1]) == set()
                    assert time.monotonic() - started < 1.5
                    valkey.start()

                    async def back() -> bool:
                        return await presence.online_of([1]) == {1}

                    await until(back)  # what was touched meanwhile is not lost

    async def test_the_routes_answer_empty(self, servers: Servers, user: Users, social: Social, tmp_path: Path) -> None:
        with private_valkey(tmp_path) as valkey:
            settings = gateway_settings(
                servers,
                HITOK_USER_TARGET=user.target,
                HITOK_SOCIAL_TARGET=social.target,
                HITOK_REDIS_URL=valkey.url,
            )
            async with running_gateway(settings) as running:
                valkey.stop()
                me, you = await new_people(FrontEnd(running.http), user, 2)
                await graph.add(social, me.id, you.id)
                group = await graph.group_with(social, me.id, you.id)
                assert await me.get("/api/contact/get-user-list-online") == {"users": [], "next_cursor": ""}
                assert await me.social("GET", "/v1/social/friends/online") == {"onLineList": {}}
                answer = await me.social("GET", "/v1/social/group/users/online", params={"group_id": group})
                assert answer == {"onLineList": {}}


async def come(person: Person) -> None:
    await person.get("/api/user/get-my-info")


class TestRoutes:
    async def test_who_just_made_a_request_is_listed_to_anyone(self, visitor: FrontEnd, user: Users) -> None:
        for _ in range(3):  # whatever the page remembered
            me = await new_person(visitor, user)
            await come(me)
            data = await visitor.get("/api/contact/get-user-list-online")
            (listed,) = [listed for listed in data["users"] if listed["id"] == me.uid]
            assert listed["username"] == me.name
            assert listed["email"] == listed["password"] == listed["Phone"] == listed["ClientIp"] == ""

    async def test_a_request_without_a_token_makes_nobody_online(self, visitor: FrontEnd, user: Users) -> None:
        absent = await new_person(visitor, user)
        await visitor.get("/api/contact/get-user-list-online")
        data = await visitor.get("/api/contact/get-user-list-online", limit=500)
        assert absent.uid not in [listed["id"] for listed in data["users"]]

    async def test_pages(self, visitor: FrontEnd, user: Users) -> None:
        people = await new_people(visitor, user, 5)
        for person in people:
            await come(person)
        newest_first = [person.uid for person in reversed(people)]
        first = await visitor.get("/api/contact/get-user-list-online", limit=2)
        second = await visitor.get("/api/contact/get-user-list-online", limit=2, cursor=first["next_cursor"])
        third = await visitor.get("/api/contact/get-user-list-online", limit="2", page="3")
        ids = [listed["id"] for page in (first, second, third) for listed in page["users"]]
        assert ids[:5] == newest_first

    @pytest.mark.parametrize("query", [{"limit": 0}, {"limit": 501}, {"page": 0}, {"page": 10**30}, {"cursor": "x"}])
    async def test_bad_pages(self, visitor: FrontEnd, query: dict[str, int]) -> None:
        await visitor.refused("GET", "/api/contact/get-user-list-online", 400, 10001, params=query)

    async def test_friends_online(self, visitor: FrontEnd, user: Users, social: Social) -> None:
        me, here, away, stranger = await new_people(visitor, user, 4)
        for friend in (here, away):
            await graph.add(social, me.id, friend.id)
        for person in (here, stranger):
            await come(person)
        answer = await me.social("GET", "/v1/social/friends/online")
        assert answer == {"onLineList": {here.uid: True}}

    async def test_members_online(self, visitor: FrontEnd, user: Users, social: Social) -> None:
        me, here, away, stranger = await new_people(visitor, user, 4)
        group = await graph.group_with(social, me.id, here.id, away.id)
        for person in (here, stranger, me):
            await come(person)
        answer = await me.social("GET", "/v1/social/group/users/online", json={"group_id": str(group)})
        assert answer == {"onLineList": {here.uid: True, me.uid: True}}
        query = {"group_id": group}
        await stranger.refused("GET", "/v1/social/group/users/online", 403, 100010, params=query)

    async def test_answers_are_remembered_for_their_asker_only(
        self, visitor: FrontEnd, user: Users, social: Social, gateway: RunningGateway
    ) -> None:
        me, you = await new_people(visitor, user, 2)
        await graph.add(social, me.id, you.id)
        await come(you)
        assert await me.social("GET", "/v1/social/friends/online") == {"onLineList": {you.uid: True}}
        await graph.unfriend(social, me.id, you.id)
        assert await me.social("GET", "/v1/social/friends/online") == {"onLineList": {you.uid: True}}
        assert await you.social("GET", "/v1/social/friends/online") == {"onLineList": {}}
        await asyncio.sleep(1.01)
        assert await me.social("GET", "/v1/social/friends/online") == {"onLineList": {}}
