"""Who sees when a user is online and when they last logged in, by each way in which it is shown (docs/contract/api.md,
"Consent, blocks, privacy"). With real services on a NATS of their own, because the chat hears the social
service's events.
"""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import text

from tests.support import social as graph
from tests.support.chat_stack import Stack, running_stack
from tests.support.people import Person, new_people
from tests.support.servers import Servers
from tests.support.sockets import Socket, open_socket
from tests.support.user import Running as Users

KINDS = ("anonymous", "stranger", "one-sided friend", "friend", "member", "ex-friend", "blocked", "blocker")


@pytest.fixture(scope="module")
async def stage(servers: Servers, user: Users, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    async with running_stack(servers, user, tmp_path_factory.mktemp("privacy"), "privacy") as stack:
        yield stack


class World:
    """A user who is online, and one of each kind of viewer."""

    def __init__(self, me: Person, viewers: dict[str, Any], group: int) -> None:
        self.me, self.viewers, self.group = me, viewers, group

    async def seen(self, kind: str) -> dict[str, bool]:
        """By each way whether that viewer sees the user online."""
        viewer, me = self.viewers[kind], self.me
        listed = (await viewer.get("/api/contact/get-user-list-online", limit=500))["users"]
        found = {"list": me.uid in [each["id"] for each in listed]}
        if kind != "anonymous":
            online = (await viewer.social("GET", "/v1/social/friends/online"))["onLineList"]
            found["friends"] = me.uid in online
        if kind in ("member", "blocked"):
            query = {"group_id": self.group}
            online = (await viewer.social("GET", "/v1/social/group/users/online", params=query))["onLineList"]
            found["group"] = me.uid in online
        return found

    async def login_of(self, kind: str) -> dict[str, bool]:
        """By each way whether that viewer sees when the user last logged in."""
        viewer, me = self.viewers[kind], self.me
        users = []
        if kind != "anonymous":
            users.append((await viewer.get("/api/user/get-user-info", id=me.uid))["user"])
            users.append((await viewer.get("/api/user/get-profile", id=me.uid))["user"])
            users += (await viewer.get("/api/contact/search-users", query=me.name))["users"]
            users += (await viewer.post("/api/contact/get-friend-list"))["users"]
            users += (await viewer.get("/api/contact/get-block-list"))["users"]
        users += (await viewer.get("/api/contact/get-user-list-online", limit=500))["users"]
        if kind == "member":
            users += (await viewer.get("/api/contact/get-group-users", community_id=self.group))["users"]
        times = ("LoginTime", "HeartbeatTime", "login_out_time")
        mine = [user for user in users if user["id"] == me.uid]
        return {f"{n} {time}": self._is_real(user, time) for n, user in enumerate(mine) for time in times}

    def _is_real(self, user: dict[str, Any], time: str) -> bool:
        return bool(user[time] == self.real[time])

    real: dict[str, str]


async def new_world(stage: Stack) -> World:
    me, *people = await new_people(stage.visitor, stage.users, 8)
    viewers: dict[str, Any] = dict(zip(KINDS[1:], people, strict=True)) | {"anonymous": stage.visitor}
    group = await graph.group_with(stage.social, me.id, viewers["member"].id, viewers["blocked"].id)
    for kind in ("friend", "ex-friend"):
        await graph.add(stage.social, viewers[kind].id, me.id)
        await graph.add(stage.social, me.id, viewers[kind].id)
    await graph.add(stage.social, viewers["one-sided friend"].id, me.id)
    await graph.unfriend(stage.social, me.id, viewers["ex-friend"].id)
    await graph.block(stage.social, me.id, viewers["blocked"].id)
    await graph.block(stage.social, viewers["blocker"].id, me.id)
    world = World(me, viewers, group)
    times = "login_at = created_at + interval '1 h', heartbeat_at = created_at + interval '2 h'"
    async with stage.users.service.database.transaction() as connection:
        times += ", logout_at = created_at + interval '3 h'"
        await connection.execute(text(f"UPDATE account SET {times} WHERE id = :id"), {"id": me.id})
    world.real = (await me.get("/api/user/get-my-info"))["user"]  # it also makes them online
    return world


SEES_PRESENCE = {
    "everyone": {"anonymous", "stranger", "one-sided friend", "friend", "member", "ex-friend"},
    "friends": {"friend"},
    "nobody": set[str](),
}
SEES_LOGIN = {
    "everyone": {"anonymous", "stranger", "one-sided friend", "friend", "member", "ex-friend"},
    "friends": {"friend"},
    "nobody": set[str](),
}


@pytest.mark.parametrize("setting", SEES_PRESENCE)
async def test_who_sees_a_user_online(stage: Stack, setting: str) -> None:
    world = await new_world(stage)
    await world.me.post("/api/contact/set-settings", who_sees_presence=setting)
    for kind in KINDS:
        seen = await world.seen(kind)
        assert seen["list"] is (setting == "everyone" and kind in SEES_PRESENCE[setting]), kind
        assert seen.get("friends", False) is (kind == "friend" and setting != "nobody"), kind
        assert seen.get("group", False) is (kind == "member" and setting == "everyone"), kind


@pytest.mark.parametrize("setting", [*SEES_LOGIN, ""])
async def test_who_sees_a_users_last_login(stage: Stack, setting: str) -> None:
    world = await new_world(stage)
    if setting:
        await world.me.post("/api/contact/set-settings", who_sees_last_login=setting)
    for kind in KINDS:
        shown = await world.login_of(kind)
        assert set(shown.values()) <= {kind in SEES_LOGIN[setting or "friends"]}, (kind, shown)
        assert shown or kind in ("anonymous", "blocked", "blocker"), kind
    mine = (await world.me.get("/api/user/get-user-info", id=world.me.uid))["user"]
    assert mine["LoginTime"] == world.real["LoginTime"] != mine["CreatedTime"]


async def subscribed(socket: Socket, *people: Person) -> dict[str, tuple[bool, bool]]:
    """By user who is shown: whether they are online, and whether it tells when they were last seen."""
    page = await socket.ask("presence.subscribe", user_ids=[person.uid for person in people])
    return {row["user_id"]: (row["online"], row["last_seen_at"] is not None) for row in page["presences"]}


async def test_sockets_show_presence_to_whom_the_user_lets(stage: Stack) -> None:
    world = await new_world(stage)
    me = world.me

    async def shown_to() -> dict[str, tuple[bool, bool]]:
        found = {}
        for kind in KINDS[1:]:
            async with open_socket(stage.url, world.viewers[kind].token) as socket:
                found[kind] = (await subscribed(socket, me)).get(me.uid, (False, False))
        return {kind: row for kind, row in found.items() if row[0]}

    assert await shown_to() == {"friend": (True, True), "member": (True, False)}
    await me.post("/api/contact/set-settings", who_sees_presence="friends", who_sees_last_login="nobody")
    assert await shown_to() == {"friend": (True, False)}
    await me.post("/api/contact/set-settings", who_sees_presence="nobody")
    assert await shown_to() == {}


@pytest.mark.parametrize("way", ["setting", "unfriended by them", "unfriended by the watcher", "blocked"])
async def test_a_subscription_to_presence_ends_with_the_right_to_it(stage: Stack, way: str) -> None:
    me, watcher, other = await new_people(stage.visitor, stage.users, 3)
    for friend in (watcher, other):
        await graph.add(stage.social, friend.id, me.id)
        await graph.add(stage.social, me.id, friend.id)
    async with open_socket(stage.url, watcher.token) as socket, open_socket(stage.url, other.token) as second:
        async with open_socket(stage.url, me.token):
            for each in (socket, second):
                assert await subscribed(each, me, other)
                await each.event("presence", user_id=me.uid, online=True)
                each.seen.clear()
            if way == "setting":
                await me.post("/api/contact/set-settings", who_sees_presence="nobody")
            elif way == "blocked":
                await me.post("/api/contact/block", target_id=watcher.uid)
            else:
                one, target = (me, watcher) if way == "unfriended by them" else (watcher, me)
                await one.post("/api/contact/delete-friend", target_id=target.uid)
            assert await socket.event("presence", user_id=me.uid, online=False, last_seen_at=None)
        if way == "setting":
            assert await second.event("presence", user_id=me.uid, online=False, last_seen_at=None)
        watchers = {each.caller.user_id for each in stage.gateway.sockets.hub.watchers.get(me.id, ())}
        assert watchers == (set() if way == "setting" else {other.id})  # the other one's goes on
        socket.seen.clear()
        async with open_socket(stage.url, me.token):
            assert [frame for frame in await socket.drain() if frame["data"].get("user_id") == me.uid] == []


async def test_settings_change_alone_and_only_to_what_there_is(stage: Stack) -> None:
    (me,) = await new_people(stage.visitor, stage.users, 1)
    changes: list[dict[str, Any]] = [
        {"who_may_add": "nobody"},
        {"who_sees_presence": "friends"},
        {"who_sees_last_login": "everyone", "searchable_by_phone": True},
    ]
    settings = await me.get("/api/contact/get-settings")
    for change in changes:
        await me.post("/api/contact/set-settings", **change)
        settings |= change
        assert await me.get("/api/contact/get-settings") == settings
    for wrong in ({"who_sees_presence": "ask"}, {"who_sees_last_login": "all"}):
        await me.refused("POST", "/api/contact/set-settings", 400, 10001, json=wrong)
    assert await me.post("/api/contact/set-settings") == {}
    await stage.visitor.refused("POST", "/api/contact/set-settings", 401, -20001, json=changes[0])
