"""The routes that tell who is online, and how often they ask the chat service."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import grpc.aio
import pytest
from httpx import AsyncClient

from gateway.chat.online_users import NOBODY, Page
from services.kit.errors import Unavailable
from tests.gateway.chat_stage import until
from tests.gateway.fake_chat import FakeChat, running_fake_chat
from tests.support import social as graph
from tests.support.chat import chat_settings, running_chat_service
from tests.support.clock import Clock, stopped
from tests.support.gateway import FrontEnd, RunningGateway, gateway_settings, running_gateway, serving_gateway
from tests.support.people import Person, new_people, new_person
from tests.support.servers import Servers
from tests.support.social import Running as Social
from tests.support.sockets import open_socket
from tests.support.user import Running as Users


@pytest.fixture(scope="module")
async def chat(servers: Servers) -> AsyncIterator[FakeChat]:
    async with running_fake_chat(servers) as chat:
        yield chat


@pytest.fixture(scope="module")
async def gateway(servers: Servers, user: Users, social: Social, chat: FakeChat) -> AsyncIterator[RunningGateway]:
    targets = {"HITOK_USER_TARGET": user.target, "HITOK_SOCIAL_TARGET": social.target, "HITOK_CHAT_TARGET": chat.target}
    async with running_gateway(gateway_settings(servers, **targets)) as running:
        yield running


async def come(person: Person) -> None:
    await person.get("/api/user/get-my-info")


async def befriend(social: Social, one: Person, other: Person) -> None:
    """Both agree to the friendship."""
    await graph.add(social, one.id, other.id)
    await graph.add(social, other.id, one.id)


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

    @pytest.mark.parametrize("query", [{"limit": 0}, {"limit": 501}, {"page": -1}, {"page": 10**30}, {"cursor": "x"}])
    async def test_bad_pages(self, visitor: FrontEnd, query: dict[str, int]) -> None:
        await visitor.refused("GET", "/api/contact/get-user-list-online", 400, 10001, params=query)

    async def test_friends_online(self, visitor: FrontEnd, user: Users, social: Social) -> None:
        me, here, away, added, stranger = await new_people(visitor, user, 5)
        for friend in (here, away):
            await befriend(social, me, friend)
        await graph.add(social, me.id, added.id)  # who did not agree
        for person in (here, added, stranger):
            await come(person)
        answer = await me.social("GET", "/v1/social/friends/online")
        assert answer == {"onLineList": {here.uid: True}}
        assert await added.social("GET", "/v1/social/friends/online") == {"onLineList": {me.uid: True}}

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
        self,
        visitor: FrontEnd,
        user: Users,
        social: Social,
        gateway: RunningGateway,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        me, you = await new_people(visitor, user, 2)
        await befriend(social, me, you)
        await come(you)
        monkeypatch.setattr(gateway.container.online, "_clock", clock := Clock())
        assert await me.social("GET", "/v1/social/friends/online") == {"onLineList": {you.uid: True}}
        await graph.unfriend(social, me.id, you.id)
        assert await me.social("GET", "/v1/social/friends/online") == {"onLineList": {you.uid: True}}
        assert await you.social("GET", "/v1/social/friends/online") == {"onLineList": {}}
        clock.advance(1.01)
        assert await me.social("GET", "/v1/social/friends/online") == {"onLineList": {}}

    @pytest.mark.parametrize("fault", ["away", "without Valkey"])
    async def test_the_routes_answer_empty_when_nobody_is_known_online(
        self, visitor: FrontEnd, user: Users, social: Social, chat: FakeChat, fault: str
    ) -> None:
        me, you = await new_people(visitor, user, 2)
        await befriend(social, me, you)
        group = await graph.group_with(social, me.id, you.id)
        if fault == "away":
            chat.faults |= dict.fromkeys(("RefreshConnections", "BatchGetOnline", "ListOnlineUsers"), Unavailable())
        online, chat.online, chat.requested = (chat.online, chat.requested), {}, {}
        chat.loses_reports = True
        try:
            await come(you)
            assert await me.get("/api/contact/get-user-list-online") == {"users": [], "next_cursor": ""}
            assert await me.social("GET", "/v1/social/friends/online") == {"onLineList": {}}
            answer = await me.social("GET", "/v1/social/group/users/online", params={"group_id": group})
            assert answer == {"onLineList": {}}
        finally:
            chat.faults.clear()
            chat.loses_reports = False
            chat.online, chat.requested = online
        await until(lambda: int(you.id) in chat.requested)  # it was reported again


async def test_requests_are_reported_without_a_call_for_each(visitor: FrontEnd, user: Users, chat: FakeChat) -> None:
    me = await new_person(visitor, user)
    await come(me)
    await until(lambda: int(me.id) in chat.requested)
    for _ in range(20):
        await come(me)
    assert sum(int(me.id) in report for report in chat.reports) == 1


async def test_the_first_page_is_read_once_a_second_unless_somebody_comes(
    gateway: RunningGateway, chat: FakeChat
) -> None:
    online_users, reporter = gateway.container.online_users, gateway.container.presence
    with stopped(online_users._pages) as clock:
        before = await online_users.page(0, "", 0, 500)
        chat.requested[1] = 1  # by another gateway
        assert await online_users.page(0, "", 0, 500) == before
        reporter.touch(2)
        assert {1, 2} <= set((await online_users.page(0, "", 0, 500)).user_ids)
        chat.requested[3] = 1
        clock.advance(1.01)
        assert 3 in (await online_users.page(0, "", 0, 500)).user_ids
    chat.requested.clear()


async def test_online_among_many(gateway: RunningGateway, chat: FakeChat) -> None:
    chat.requested[12_345] = 1
    assert await gateway.container.online_users.among(range(1, 25_000)) == {12_345}
    assert await gateway.container.online_users.among([]) == set()
    chat.requested.clear()


async def test_a_made_up_cursor_is_refused_and_spoils_no_other_page(gateway: RunningGateway, chat: FakeChat) -> None:
    page, refused = await asyncio.gather(
        gateway.container.online_users.page(0, "", 1, 10),
        gateway.container.online_users.page(0, "x", 0, 10),
        return_exceptions=True,
    )
    assert isinstance(page, Page)
    assert isinstance(refused, grpc.aio.AioRpcError)
    chat.faults["ListOnlineUsers"] = Unavailable()
    try:
        assert await gateway.container.online_users.page(0, "x", 0, 10) == NOBODY
    finally:
        chat.faults.clear()


async def test_a_request_and_a_socket_are_one_presence_in_the_chat_service(
    servers: Servers, user: Users, social: Social, tmp_path: Path
) -> None:
    settings = chat_settings(servers.create_database("gateway_online"), servers, tmp_path, social.target)
    async with running_chat_service(settings) as chat:
        targets = {"USER": user.target, "SOCIAL": social.target, "CHAT": chat.target}
        named = {f"HITOK_{name}_TARGET": target for name, target in targets.items()}
        async with serving_gateway(gateway_settings(servers, **named)) as (_, url), AsyncClient(base_url=url) as http:
            here, away, added, watcher = await new_people(FrontEnd(http), user, 4)
            for friend in (here, away):
                await befriend(social, watcher, friend)
            await graph.add(social, watcher.id, added.id)  # who did not agree
            async with open_socket(url, watcher.token) as socket:
                page = await socket.ask("presence.subscribe", user_ids=[here.uid, away.uid, added.uid])
                assert [(row["user_id"], row["online"]) for row in page["presences"]] == [
                    (here.uid, False),
                    (away.uid, False),
                ]
                await come(here)
                assert await socket.event("presence", user_id=here.uid, online=True)
                assert await watcher.social("GET", "/v1/social/friends/online") == {"onLineList": {here.uid: True}}
                async with open_socket(url, away.token):
                    assert await socket.event("presence", user_id=away.uid, online=True)
                    listed = await FrontEnd(http).get("/api/contact/get-user-list-online", limit=500)
                    assert {here.uid, away.uid, watcher.uid} <= {each["id"] for each in listed["users"]}
                assert await socket.event("presence", user_id=away.uid, online=False)
