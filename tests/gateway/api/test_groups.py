"""Groups of one family, communities of the other: through the gateway."""

from typing import Any

import pytest

from protos.chat.v1.conversations_pb2 import RecheckRequest
from tests.gateway.api.test_contacts import LISTED, PRIVATE, SAMPLE, pages_of
from tests.support import social as graph
from tests.support.gateway import FrontEnd, RunningGateway
from tests.support.people import Person, World, counting_calls, new_people, new_person, new_world
from tests.support.social import Running as Social
from tests.support.user import Running as Users
from tests.support.user import new_name


@pytest.fixture
async def world(visitor: FrontEnd, user: Users, social: Social) -> World:
    return await new_world(visitor, user, social)


async def found(person: Person, **fields: Any) -> dict[str, Any]:
    """A community that the person creates."""
    await person.post("/api/contact/create-community", **{"name": new_name(), **fields})
    return (await person.get("/api/contact/get-group-list"))["groups"][-1]  # type: ignore[no-any-return]


async def member_ids(person: Person, community_id: str) -> list[str]:
    users = (await person.get("/api/contact/get-group-users", community_id=community_id))["users"]
    return [user["id"] for user in users]


class TestTheChatIsToldBeforeTheAnswer:
    """Of who is in, or no more: what is said after the answer is for those who are."""

    @pytest.fixture
    def told(self, gateway: RunningGateway, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
        """Group and user of each call."""
        calls: list[tuple[str, str]] = []

        async def recheck(request: RecheckRequest, timeout: float) -> None:
            calls.append((str(request.group_id), str(request.user_id)))

        monkeypatch.setattr(gateway.container.chat.conversations, "Recheck", recheck)
        return calls

    async def test_of_a_community(self, visitor: FrontEnd, user: Users, told: list[tuple[str, str]]) -> None:
        me, you, other = await new_people(visitor, user, 3)
        group = (await found(me))["id"]
        for person in (you, other):
            await person.post("/api/contact/join-community", community_id=group)
        await you.post("/api/contact/leave-community", community_id=group)
        await me.post("/api/contact/remove-member", community_id=group, target_id=other.uid)
        await me.post("/api/contact/dismiss-community", community_id=group)
        assert told == [*[(group, person.uid) for person in (you, other, you, other)], (group, "0")]

    async def test_of_an_application(self, world: World, told: list[tuple[str, str]]) -> None:
        group, guest = str(world.group), world.stranger
        await guest.social("POST", "/v1/social/group/putIn", json={"group_id": group, "req_msg": "", "join_source": 1})
        of_group = {"group_id": group, "type": [], "class": 2}
        (request,) = (await world.manager.social("GET", "/v1/social/group/putIns", json=of_group))["list"]
        handled = {"group_req_id": request["id"], "group_id": group, "handle_result": 1}
        await world.manager.social("PUT", "/v1/social/group/putIn", json=handled)
        assert told[-1] == (group, guest.uid)


class TestCommunities:
    async def test_create_and_list(self, visitor: FrontEnd, user: Users) -> None:
        me = await new_person(visitor, user)
        forged = {"owner_id": "1", "owner_name": "someone else", "name": "一", "icon": "http://x/a.png", "desc": "d"}
        assert await me.post("/api/contact/create-community", **forged) == {}
        lists = [await me.get("/api/contact/get-group-list"), await me.post("/api/contact/load-community")]
        assert lists[0] == lists[1]
        (group,) = lists[0]["groups"]
        times = {name: group[name] for name in ("CreatedTime", "UpdatedTime", "created_at", "updated_at")}
        assert all(time.isdigit() and len(time) == 13 for time in times.values())
        assert group == times | {
            "id": group["id"],
            "name": "一",
            "owner_id": me.uid,
            "owner_name": me.name,
            "img": "http://x/a.png",
            "desc": "d",
            "description": "d",
            "creator_id": me.uid,
            "approval": False,
            "announcement": "",
            "member_count": 1,
        }

    @pytest.mark.parametrize(
        ("body", "code"),
        [
            ({}, 10015),
            ({"name": ""}, 10015),
            ({"name": "  "}, 10015),
            ({"name": 1}, 10003),
            ({"name": "长" * 51}, 10001),
        ],
    )
    async def test_bad_names(self, visitor: FrontEnd, user: Users, body: dict[str, Any], code: int) -> None:
        me = await new_person(visitor, user)
        await me.refused("POST", "/api/contact/create-community", 400, code, json=body)
        await me.refused("POST", "/v1/social/group", 400, 100002, json=body)

    async def test_join_at_once_and_again(self, visitor: FrontEnd, user: Users) -> None:
        me, you = await new_people(visitor, user, 2)
        group = await found(me)
        for _ in range(2):
            assert await you.post("/api/contact/join-community", community_id=group["id"], owner_id="abc") == {}
        assert await member_ids(you, group["id"]) == [me.uid, you.uid]
        assert (await me.get("/api/contact/get-group-list"))["groups"][0]["member_count"] == 2
        (listed, *_) = (await me.get("/api/contact/get-group-users", community_id=group["id"]))["users"]
        assert set(listed) >= LISTED | SAMPLE
        assert all(listed[field] == "" for field in PRIVATE)

    async def test_a_life(self, visitor: FrontEnd, user: Users) -> None:
        me, you, third = await new_people(visitor, user, 3)
        group = (await found(me))["id"]
        for person in (you, third):
            await person.post("/api/contact/join-community", community_id=group)
        await me.post("/api/contact/set-member-role", community_id=group, target_id=third.uid, role=1)
        assert await member_ids(me, group) == [me.uid, third.uid, you.uid]
        await third.post("/api/contact/remove-member", community_id=group, target_id=you.uid)
        await you.refused("GET", "/api/contact/get-group-users", 403, -20008, params={"community_id": group})
        gone = {"community_id": group, "target_id": you.uid}
        await me.refused("POST", "/api/contact/remove-member", 404, 10021, json=gone)
        await me.refused("POST", "/api/contact/transfer-community", 404, 10021, json=gone)
        await me.refused("POST", "/api/contact/leave-community", 409, 10031, json={"community_id": group})
        await me.post("/api/contact/transfer-community", community_id=group, target_id=third.uid)
        (listed,) = (await me.get("/api/contact/get-group-list"))["groups"]
        assert (listed["owner_id"], listed["owner_name"]) == (third.uid, third.name)
        await me.post("/api/contact/leave-community", community_id=group)
        await third.post("/api/contact/dismiss-community", community_id=group)
        await third.refused("GET", "/api/contact/get-group-users", 404, 10019, params={"community_id": group})
        assert (await third.post("/api/contact/load-community"))["groups"] == []

    async def test_update_changes_what_is_given(self, visitor: FrontEnd, user: Users) -> None:
        me = await new_person(visitor, user)
        before = await found(me, desc="d", icon="http://x/a.png")
        await me.post("/api/contact/update-community", community_id=before["id"], announcement="公告", desc=None)
        await me.post("/api/contact/update-community", community_id=before["id"], approval=True)
        (after,) = (await me.get("/api/contact/get-group-list"))["groups"]
        changed = {"announcement": "公告", "approval": True}
        assert after == before | changed | {name: after[name] for name in ("UpdatedTime", "updated_at")}
        (group,) = (await me.social("GET", "/v1/social/groups"))["list"]
        assert (group["notification_uid"], group["is_verify"]) == (me.uid, True)
        empty = {"community_id": before["id"], "name": ""}
        await me.refused("POST", "/api/contact/update-community", 400, 10015, json=empty)

    @pytest.mark.parametrize("role", [-1, 2, 10**20, "x"])
    async def test_roles_that_cannot_be_given(self, world: World, role: Any) -> None:
        given = {"community_id": world.group, "target_id": world.member.uid, "role": role}
        response = await world.owner.call("POST", "/api/contact/set-member-role", json=given)
        assert response.status_code == 400

    async def test_pages(self, visitor: FrontEnd, user: Users, social: Social) -> None:
        me, *others = await new_people(visitor, user, 7)
        ids = [str(await graph.create_group(social, me.id)) for _ in range(5)]
        for path, method in (("get-group-list", "GET"), ("load-community", "POST")):
            pages = await pages_of(me, f"/api/contact/{path}", "groups", method, page_size=2)
            assert pages == [ids[:2], ids[2:4], ids[4:]]
        second = await me.get("/api/contact/get-group-list", page="2", page_size="2")
        assert [group["id"] for group in second["groups"]] == ids[2:4]

        group = await graph.group_with(social, me.id, *(other.id for other in others))
        path = "/api/contact/get-group-users"
        pages = await pages_of(me, path, "users", "GET", page_size=3, community_id=group)
        members = [person.uid for person in (me, *others)]
        assert pages == [members[:3], members[3:6], members[6:]]
        third = await me.get(path, page=3, page_size=3, community_id=group)
        assert [user["id"] for user in third["users"]] == members[6:]

    async def test_search(self, visitor: FrontEnd, user: Users) -> None:
        me, you = await new_people(visitor, user, 2)
        stem = new_name()
        ids = [(await found(me, name=f"{stem}{ending}"))["id"] for ending in "ABC"]
        pages = await pages_of(you, "/api/contact/search-communities", "groups", "GET", query=stem.upper(), limit=2)
        assert pages == [ids[:2], ids[2:]]
        (hit,) = (await you.get("/api/contact/search-communities", query=f"{stem}b"))["groups"]
        assert hit["owner_name"] == me.name


class TestGroups:
    async def test_the_documents_shapes(self, world: World) -> None:
        for path in ("/v1/socail/groups", "/v1/social/groups"):
            (group,) = (await world.owner.social("GET", path))["list"]
            assert group == {
                "id": str(world.group),
                "name": "群",
                "icon": "",
                "create_uid": world.owner.uid,
                "group_type": 1,
                "is_verify": True,
                "notification_uid": "0",
            }
        for path in ("/v/social/group/users", "/v1/social/group/users"):
            answer = await world.member.social("GET", path, json={"group_id": str(world.group)})
            assert set(answer) == {"List"}
            owner, manager, member = answer["List"]
            assert [m["role_level"] for m in answer["List"]] == [2, 1, 0]
            assert member == {
                "id": member["id"],
                "group_id": str(world.group),
                "user": {
                    "id": world.member.uid,
                    "nickname": world.member.name,
                    "sex": 0,
                    "avatar": "",
                    "Introduction": "",
                    "is_current_user": 1,
                },
                "role_level": 0,
                "inviter_uid": "0",
            }
            assert owner["user"]["is_current_user"] == manager["user"]["is_current_user"] == 0

    async def test_applying_and_being_let_in(self, world: World) -> None:
        guest = world.stranger
        application = {
            "group_id": str(world.group),
            "req_msg": "学习rust",
            "req_time": 0,
            "join_source": 1,
            "inviter_uid": "0",
        }
        answer = await guest.social("POST", "/v1/social/group/putIn", json=application)
        assert answer == {"group_id": world.group}
        of_group = {"group_id": str(world.group), "type": [], "class": 2}
        (request,) = (await world.manager.social("GET", "/v1/social/group/putIns", json=of_group))["list"]
        assert request == {
            "id": request["id"],
            "user": {"id": guest.uid, "nickname": guest.name, "sex": 0, "avatar": "", "Introduction": ""},
            "group": {"id": str(world.group), "name": "群", "icon": "", "create_uid": world.owner.uid},
            "req_msg": "学习rust",
            "req_time": request["req_time"],
            "join_source": 1,
            "inviter_user_id": "0",
            "handle_user_id": "",
            "handle_time": request["req_time"],
            "handle_result": 0,
        }
        handled = {"group_req_id": request["id"], "group_id": str(world.group), "handle_result": 1}
        assert await world.manager.social("PUT", "/v1/social/group/putIn", json=handled) == {}
        await world.owner.refused("PUT", "/v1/social/group/putIn", 409, 100008, json=handled | {"handle_result": 2})
        (mine,) = (await guest.social("GET", "/v1/social/group/putIns", params={"class": 1}))["list"]
        assert (mine["handle_result"], mine["handle_user_id"]) == (1, world.manager.uid)
        assert guest.uid in await member_ids(guest, str(world.group))

    async def test_types_are_a_list_of_strings_or_integers(self, world: World) -> None:
        await world.new_application()
        waiting, refused = await world.new_application(), await world.new_application()
        await graph.decide(world.social, world.owner.id, world.group, refused, 2)

        async def count(*types: Any, **options: Any) -> int:
            options = options or {"json": {"group_id": world.group, "class": 2, "type": list(types)}}
            return len((await world.owner.social("GET", "/v1/social/group/putIns", **options))["list"])

        query = {"group_id": world.group, "class": 2}
        assert waiting
        assert await count() == await count("0", 2) == await count(params=query) == 3
        assert await count("2") == await count(2) == await count(params={**query, "type": "2"}) == 1
        assert await count(0) == await count("0", "1") == await count(params={**query, "type": [0, 1]}) == 2
        assert await count(params={**query, "type": ""}) == 3
        for bad in (["3"], ["x"], [-1], "2", [10**20]):
            given = {"group_id": world.group, "class": 2, "type": bad}
            await world.owner.refused("GET", "/v1/social/group/putIns", 400, 100002, json=given)

    async def test_only_a_real_invitation_joins_at_once(self, world: World) -> None:
        guest = world.stranger
        claim = {"group_id": world.group, "join_source": 2, "inviter_uid": world.owner.uid}
        await guest.social("POST", "/v1/social/group/putIn", json=claim)
        (waiting,) = (await guest.social("GET", "/v1/social/group/putIns"))["list"]
        assert (waiting["join_source"], waiting["inviter_user_id"]) == (2, world.owner.uid)
        invitation = {"group_id": world.group, "user_uid": guest.uid}
        await world.member.refused("POST", "/v1/social/group/invite", 403, 100010, json=invitation)
        assert await world.owner.social("POST", "/v1/social/group/invite", json=invitation) == {}
        await guest.social("POST", "/v1/social/group/putIn", json=claim)
        assert guest.uid in await member_ids(guest, str(world.group))

    @pytest.mark.parametrize("nobody", ["0", "", 0])
    async def test_an_inviter_who_is_nobody(self, world: World, nobody: Any) -> None:
        applied = {"group_id": world.group, "join_source": 2, "inviter_uid": nobody}
        await world.stranger.social("POST", "/v1/social/group/putIn", json=applied)
        (waiting,) = (await world.stranger.social("GET", "/v1/social/group/putIns"))["list"]
        assert waiting["inviter_user_id"] == "0"

    async def test_users_are_looked_up_before_they_are_written(self, world: World) -> None:
        invitation = {"group_id": world.group, "user_uid": 2**62}
        await world.owner.refused("POST", "/v1/social/group/invite", 404, 100009, json=invitation)
        claim = {"group_id": world.group, "join_source": 2, "inviter_uid": 2**62}
        await world.stranger.refused("POST", "/v1/social/group/putIn", 404, 100009, json=claim)

    async def test_a_groups_requests_need_its_id(self, world: World) -> None:
        await world.owner.refused("GET", "/v1/social/group/putIns", 400, 100002, params={"class": 2})
        listed = await world.owner.social("GET", "/v1/social/group/putIns", params={"group_id": world.group})
        assert listed == {"list": []}

    async def test_cursors(self, world: World) -> None:
        requests = [await world.new_application() for _ in range(3)]
        path, query = "/v1/social/group/putIns", {"group_id": world.group, "class": 2, "limit": 2}
        first = await world.owner.social("GET", path, params=query)
        rest = await world.owner.social("GET", path, params={**query, "cursor": first["next_cursor"]})
        assert [request["id"] for request in first["list"] + rest["list"]] == requests
        assert "next_cursor" not in rest
        query = {"group_id": world.group, "limit": 1}
        first = await world.owner.social("GET", "/v1/social/group/users", params=query)
        query["cursor"] = first["next_cursor"]
        rest = await world.owner.social("GET", "/v1/social/group/users", params={**query, "limit": 10})
        assert len(first["List"] + rest["List"]) == 3


LISTS: list[tuple[str, str, dict[str, Any]]] = [
    ("GET", "/api/contact/get-group-list", {}),
    ("POST", "/api/contact/load-community", {}),
    ("GET", "/api/contact/get-group-users", {"community_id": 0}),
    ("GET", "/api/contact/search-communities", {"query": "群"}),
    ("GET", "/v1/social/groups", {}),
    ("GET", "/v1/social/group/users", {"group_id": 0}),
    ("GET", "/v1/social/group/users/online", {"group_id": 0}),
    ("GET", "/v1/social/group/putIns", {"group_id": 0, "class": 2}),
    ("GET", "/v1/social/group/putIns", {"class": 1}),
]


def filled(world: World, params: dict[str, Any]) -> dict[str, Any]:
    return {name: world.group if value == 0 else value for name, value in params.items()}


@pytest.mark.parametrize(("method", "path", "params"), LISTS)
async def test_a_list_costs_one_call_of_each_service(
    world: World, gateway: RunningGateway, method: str, path: str, params: dict[str, Any]
) -> None:
    for _ in range(3):
        await world.new_application()
        await world.new_member()
        await graph.create_group(world.social, world.owner.id)
    await world.owner.get("/api/user/get-my-info")  # the session is cached now
    gateway.container.cards.clear()
    given = filled(world, params)
    with counting_calls() as calls:
        await world.owner.call(method, path, **({"params": given} if method == "GET" else {"json": given}))
    # A page of requests to join names groups, which the service tells apart from the requests.
    assert calls["hitok.social.v1.Groups"] <= (2 if path.endswith("putIns") else 1), calls
    assert calls["hitok.user.v1.Users"] <= 1, calls
    assert calls.total() <= 3, calls


@pytest.mark.parametrize(("method", "path", "params"), [row for row in LISTS if not row[1].endswith("online")])
async def test_made_up_cursors_are_refused(world: World, method: str, path: str, params: dict[str, Any]) -> None:
    for cursor in ("x", "W10", "WzFlMzBd", "WzFdMQ", "中", "WyJcdTAwMDAiLDFd", "WzFlMzAsMWUzMF0"):
        given = {**filled(world, params), "cursor": cursor}
        response = await world.owner.call(method, path, **({"params": given} if method == "GET" else {"json": given}))
        assert response.status_code == 400, (cursor, response.text)
        assert response.json()["code"] in (10001, 100002)
