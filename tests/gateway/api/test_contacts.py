"""api/contact/* and v1/social/friend*: friends, requests, blocks and finding people, through the gateway."""

import asyncio
from typing import Any

import pytest

from gateway.http.failures import FAILURES
from tests.support import social as graph
from tests.support.gateway import FrontEnd, RunningGateway
from tests.support.people import Person, counting_calls, new_people, new_person
from tests.support.social import Running as Social
from tests.support.user import Running as Users

LISTED = {"id", "username", "avatar", "role", "bio", "email", "create_at"}  # the schema's fields
SAMPLE = {"CreatedTime", "UpdatedTime", "password", "Phone", "ClientIp", "LoginTime", "IsLogout", "Bio"}
PRIVATE = ("password", "email", "Phone", "ClientIp", "ClientPort", "DeviceInfo")


async def befriend(social: Social, person: Person, others: list[Person]) -> None:
    for other in others:
        await graph.add(social, person.id, other.id)
        await graph.add(social, other.id, person.id)


async def pages_of(person: Person, path: str, key: str, method: str = "POST", **params: Any) -> list[list[str]]:
    """The ids on each page, from the first to the last, by cursor."""
    pages, cursor = [], ""
    while True:
        given = {**params, "cursor": cursor}
        data = await (person.post(path, **given) if method == "POST" else person.get(path, **given))
        pages.append([item["id"] for item in data[key]])
        if not (cursor := data["next_cursor"]):
            return pages


class TestAddFriend:
    @pytest.mark.parametrize("field", ["username", "user_name"])
    async def test_both_are_friends_at_once(self, visitor: FrontEnd, user: Users, field: str) -> None:
        me, you = await new_people(visitor, user, 2)
        assert await me.post("/api/contact/add-friend", **{field: you.name}) == {}
        for one, other in ((me, you), (you, me)):
            (friend,) = (await one.post("/api/contact/get-friend-list"))["users"]
            assert friend["id"] == other.uid
            assert set(friend) >= LISTED | SAMPLE
            assert all(friend[field] == "" for field in PRIVATE)

    async def test_it_settles_what_was_asked_in_the_other_family(self, visitor: FrontEnd, user: Users) -> None:
        me, you = await new_people(visitor, user, 2)
        await me.social("POST", "/friend/putIn", json={"user_uid": you.uid, "req_msg": "", "req_time": 0})
        await you.post("/api/contact/add-friend", username=me.name)
        (request,) = (await me.social("GET", "/v1/social/friend/putIns"))["list"]
        assert request["handle_result"] == 1

    @pytest.mark.parametrize(
        ("body", "status", "code"),
        [
            ({}, 400, 10004),
            ({"username": ""}, 400, 10002),
            ({"username": 5}, 400, 10003),
            ({"username": "nobody-here"}, 404, 10011),
            ({"username": "x" * 5_000}, 404, 10011),
        ],
    )
    async def test_bad_names(
        self, visitor: FrontEnd, user: Users, body: dict[str, Any], status: int, code: int
    ) -> None:
        me = await new_person(visitor, user)
        await me.refused("POST", "/api/contact/add-friend", status, code, json=body)

    async def test_twice_and_oneself(self, visitor: FrontEnd, user: Users) -> None:
        me, you = await new_people(visitor, user, 2)
        await me.post("/api/contact/add-friend", username=you.name)
        assert await you.post("/api/contact/add-friend", username=me.name) == {}  # agrees
        for one, other in ((me, you), (you, me)):
            await one.refused("POST", "/api/contact/add-friend", 409, 10013, json={"username": other.name})
        await me.refused("POST", "/api/contact/add-friend", 400, 10012, json={"username": me.name})

    async def test_who_wants_to_be_asked_is_asked(self, visitor: FrontEnd, user: Users) -> None:
        me, you = await new_people(visitor, user, 2)
        settings: dict[str, Any] = {
            "who_may_add": "everyone",
            "who_sees_presence": "everyone",
            "who_sees_last_login": "friends",
            "who_may_follow": "everyone",
            "who_may_mention": "everyone",
        }
        settings |= {"searchable_by_phone": False, "searchable_by_email": False}
        assert await you.get("/api/contact/get-settings") == settings
        assert await you.post("/api/contact/set-settings", who_may_add="ask") == {}
        assert await you.get("/api/contact/get-settings") == settings | {"who_may_add": "ask"}
        assert await me.post("/api/contact/add-friend", username=you.name) == {}
        assert (await me.post("/api/contact/get-friend-list"))["users"] == []
        (request,) = (await you.social("GET", "/v1/social/friend/putIns"))["list"]
        assert request["user_id"] == me.uid
        await you.refused("POST", "/api/contact/set-settings", 400, 10001, json={"who_may_add": "some"})


class TestRequests:
    async def test_ask_and_accept(self, visitor: FrontEnd, user: Users) -> None:
        me, you = await new_people(visitor, user, 2)
        for path in ("/friend/putIn", "/v1/social/friend/putIn"):  # again changes nothing
            asked = {"user_uid": you.uid, "req_msg": "我是你大学同学", "req_time": 0}
            assert await me.social("POST", path, json=asked) == {}
        for path in ("/v1/socialfriend/putIns", "/v1/social/friend/putIns"):
            (request,) = (await you.social("GET", path, params={"class": 2, "type": 0}))["list"]
            assert request == {
                "id": request["id"],
                "user_id": me.uid,
                "req_uid": you.uid,
                "req_msg": "我是你大学同学",
                "req_time": request["req_time"],
            }
            assert isinstance(request["id"], int)
            assert request["req_time"] > 1_700_000_000
        accept = {"friend_req_id": request["id"], "handle_result": 1}
        await me.refused("PUT", "/v1/social/friend/putIn", 404, 100024, json=accept)
        assert await you.social("PUT", "/v1/social/friend/putIn", json=accept) == {}
        await you.refused("PUT", "/v1/social/friend/putIn", 409, 100008, json=accept)
        (friend,) = (await me.social("GET", "/v1/social/friends"))["list"]
        assert friend == {
            "id": friend["id"],
            "friend_uid": you.uid,
            "nickname": you.name,
            "avatar": "",
            "remark": you.name,
        }

    async def test_classes_and_types_filter(self, visitor: FrontEnd, user: Users, social: Social) -> None:
        me, refused, asked, asker = await new_people(visitor, user, 4)
        for other in (refused, asked):
            await graph.ask(social, me.id, other.id)
        await graph.ask(social, asker.id, me.id)
        await graph.handle(social, refused.id, await graph.request_between(social, me.id, refused.id), 2)

        async def others(**query: Any) -> set[str]:
            requests = (await me.social("GET", "/v1/social/friend/putIns", params=query))["list"]
            return {request["req_uid"] if request["user_id"] == me.uid else request["user_id"] for request in requests}

        assert await others() == await others(type="", **{"class": ""}) == {refused.uid, asked.uid, asker.uid}
        assert await others(**{"class": "1"}) == {refused.uid, asked.uid}
        assert await others(**{"class": "1", "type": "2"}) == {refused.uid}
        assert await others(type=0) == {asked.uid, asker.uid}
        assert await others(**{"class": 2, "type": 1}) == set()

    async def test_parameters_of_a_get_may_be_in_its_body(self, visitor: FrontEnd, user: Users, social: Social) -> None:
        me, you = await new_people(visitor, user, 2)
        await graph.ask(social, me.id, you.id)
        answer = await me.social("GET", "/v1/social/friend/putIns", json={"class": "2"})
        assert answer == {"list": []}

    @pytest.mark.parametrize("req_time", [-1, 10**18, "soon"])
    async def test_times_that_cannot_be(self, visitor: FrontEnd, user: Users, req_time: Any) -> None:
        me, you = await new_people(visitor, user, 2)
        asked = {"user_uid": you.uid, "req_time": req_time}
        await me.refused("POST", "/friend/putIn", 400, 100002, json=asked)

    async def test_a_long_message(self, visitor: FrontEnd, user: Users) -> None:
        me, you = await new_people(visitor, user, 2)
        asked = {"user_uid": you.uid, "req_msg": "长" * 501}
        await me.refused("POST", "/friend/putIn", 400, 100002, json=asked)

    @pytest.mark.parametrize("result", [0, 3, -1, "x", 2**40])
    async def test_a_result_is_1_or_2(self, visitor: FrontEnd, user: Users, result: Any) -> None:
        me = await new_person(visitor, user)
        handled = {"friend_req_id": 1, "handle_result": result}
        await me.refused("PUT", "/v1/social/friend/putIn", 400, 100002, json=handled)


class TestFriends:
    async def test_pages_and_cursors_cover_the_list(self, visitor: FrontEnd, user: Users, social: Social) -> None:
        me, *others = await new_people(visitor, user, 8)
        await befriend(social, me, others)
        ids = [other.uid for other in others]
        path = "/api/contact/get-friend-list"
        assert await pages_of(me, path, "users", page_size=3) == [ids[:3], ids[3:6], ids[6:]]
        for page, size in (("1", "3"), (2, 3), ("3", 3), (4, "3"), (1_000_000, 500)):
            users = (await me.post(path, page=page, page_size=size))["users"]
            start = (int(page) - 1) * int(size)
            assert [user["id"] for user in users] == ids[start : start + int(size)]
        assert [user["id"] for user in (await me.post(path, page="", page_size=""))["users"]] == ids

    async def test_pages_stay_stable_while_others_write(self, visitor: FrontEnd, user: Users, social: Social) -> None:
        me, *others = await new_people(visitor, user, 8)
        await befriend(social, me, others[:6])
        first = await me.post("/api/contact/get-friend-list", page_size=3)
        await graph.unfriend(social, me.id, others[0].id)
        await befriend(social, me, others[6:])
        rest = await me.post("/api/contact/get-friend-list", page_size=10, cursor=first["next_cursor"])
        assert [user["id"] for user in rest["users"]] == [other.uid for other in others[3:]]

    async def test_the_chat_family_pages_by_cursor(self, visitor: FrontEnd, user: Users, social: Social) -> None:
        me, *others = await new_people(visitor, user, 4)
        await befriend(social, me, others)
        first = await me.social("GET", "/v1/social/friends", params={"limit": 2})
        assert set(first) == {"list", "next_cursor"}
        rest = await me.social("GET", "/v1/social/friends", params={"limit": 2, "cursor": first["next_cursor"]})
        assert set(rest) == {"list"}
        listed = [friend["friend_uid"] for friend in first["list"] + rest["list"]]
        assert listed == [other.uid for other in others]

    @pytest.mark.parametrize(
        "params", [{"page": -1}, {"page": 10**30}, {"page_size": 501}, {"page_size": 0}, {"page": "x"}]
    )
    async def test_pages_that_cannot_be(self, visitor: FrontEnd, user: Users, params: dict[str, Any]) -> None:
        me = await new_person(visitor, user)
        response = await me.call("POST", "/api/contact/get-friend-list", json=params)
        assert response.status_code == 400
        assert response.json()["code"] in (10001, 10003)

    async def test_another_users_friends_are_not_shown(self, visitor: FrontEnd, user: Users) -> None:
        me, you = await new_people(visitor, user, 2)
        await me.refused("POST", "/api/contact/get-friend-list", 403, -20008, json={"user_id": you.uid})
        assert (await me.post("/api/contact/get-friend-list", user_id=me.uid))["users"] == []
        assert (await me.post("/api/contact/get-friend-list", user_id=""))["users"] == []

    async def test_delete_is_for_both_and_twice_is_once(self, visitor: FrontEnd, user: Users) -> None:
        me, you = await new_people(visitor, user, 2)
        await me.post("/api/contact/add-friend", username=you.name)
        for _ in range(2):
            assert await me.post("/api/contact/delete-friend", target_id=you.uid) == {}
        assert (await you.post("/api/contact/get-friend-list"))["users"] == []

    async def test_remark(self, visitor: FrontEnd, user: Users) -> None:
        me, you = await new_people(visitor, user, 2)
        await me.refused("POST", "/api/contact/set-remark", 404, 10036, json={"target_id": you.uid, "remark": "x"})
        await me.post("/api/contact/add-friend", username=you.name)
        await me.post("/api/contact/set-remark", target_id=you.uid, remark="小丞")
        assert (await me.social("GET", "/v1/social/friends"))["list"][0]["remark"] == "小丞"
        assert (await you.social("GET", "/v1/social/friends"))["list"][0]["remark"] == me.name
        await me.post("/api/contact/set-remark", target_id=you.uid, remark="")
        assert (await me.social("GET", "/v1/social/friends"))["list"][0]["remark"] == you.name
        too_long = {"target_id": you.uid, "remark": "长" * 51}
        await me.refused("POST", "/api/contact/set-remark", 400, 10001, json=too_long)


class TestBlocks:
    async def test_nothing_tells_the_blocked(self, visitor: FrontEnd, user: Users) -> None:
        me, you = await new_people(visitor, user, 2)
        await me.post("/api/contact/block", target_id=you.uid)
        assert await you.post("/api/contact/add-friend", username=me.name) == {}
        assert await you.social("POST", "/friend/putIn", json={"user_uid": me.uid}) == {}
        assert (await me.social("GET", "/v1/social/friend/putIns"))["list"] == []
        assert (await me.post("/api/contact/get-friend-list"))["users"] == []
        assert [user["id"] for user in (await you.get("/api/contact/search-users", query=me.name))["users"]] == [me.uid]

    async def test_the_list_and_its_end(self, visitor: FrontEnd, user: Users) -> None:
        me, *others = await new_people(visitor, user, 4)
        for other in others:
            await me.post("/api/contact/block", target_id=other.uid)
        newest_first = [other.uid for other in reversed(others)]
        pages = await pages_of(me, "/api/contact/get-block-list", "users", "GET", limit=2)
        assert pages == [newest_first[:2], newest_first[2:]]
        for other in others:
            await me.post("/api/contact/unblock", target_id=other.uid)
        assert await me.get("/api/contact/get-block-list") == {"users": [], "next_cursor": ""}

    async def test_who_blocks_does_not_ask(self, visitor: FrontEnd, user: Users) -> None:
        me, you = await new_people(visitor, user, 2)
        await me.post("/api/contact/block", target_id=you.uid)
        await me.refused("POST", "/api/contact/add-friend", 403, 10030, json={"username": you.name})
        await me.refused("POST", "/friend/putIn", 403, 100019, json={"user_uid": you.uid})
        await me.refused("POST", "/api/contact/block", 400, 10029, json={"target_id": me.uid})


class TestSearch:
    async def test_by_prefix_and_page(self, visitor: FrontEnd, user: Users) -> None:
        me, you = await new_people(visitor, user, 2)
        data = await me.get("/api/contact/search-users", query=you.name[:-1].upper())
        (found,) = [found for found in data["users"] if found["id"] == you.uid]
        assert set(found) >= LISTED | SAMPLE
        assert found["Phone"] == ""
        pages = await pages_of(me, "/api/contact/search-users", "users", "GET", query="u", limit=20)
        assert len(pages) > 1
        assert all(len(page) == 20 for page in pages[:-1])

    async def test_by_phone_once_it_is_allowed(self, visitor: FrontEnd, user: Users) -> None:
        me, you = await new_people(visitor, user, 2)
        phone = (await you.get("/api/user/get-my-info"))["user"]["Phone"]
        assert (await me.get("/api/contact/search-users", query=phone))["users"] == []
        await you.post("/api/user/set-profile", searchable_by_phone=True)
        assert (await you.get("/api/user/get-my-info"))["searchable_by_phone"] is True
        assert (await me.get("/api/user/get-user-info", id=you.uid))["searchable_by_phone"] is False
        assert [found["id"] for found in (await me.get("/api/contact/search-users", query=phone))["users"]] == [you.uid]
        await you.post("/api/user/set-profile", user={"searchable_by_phone": False})
        assert (await me.get("/api/contact/search-users", query=phone))["users"] == []

    @pytest.mark.parametrize(
        ("query", "code"), [({}, 10004), ({"query": ""}, 10002), ({"query": "a", "limit": 101}, 10001)]
    )
    async def test_bad_queries(self, visitor: FrontEnd, user: Users, query: dict[str, Any], code: int) -> None:
        me = await new_person(visitor, user)
        for path in ("/api/contact/search-users", "/api/contact/search-communities"):
            await me.refused("GET", path, 400, code, params=query)


class TestUsersWhoAreGone:
    async def test_ids_are_looked_up_before_they_are_written(self, visitor: FrontEnd, user: Users) -> None:
        me = await new_person(visitor, user)
        await me.refused("POST", "/friend/putIn", 404, 100009, json={"user_uid": 2**62})
        await me.refused("POST", "/api/contact/block", 404, 10011, json={"target_id": 2**62})

    async def test_lists_go_on_without_them(
        self, visitor: FrontEnd, user: Users, social: Social, gateway: RunningGateway
    ) -> None:
        me, you = await new_people(visitor, user, 2)
        await befriend(social, me, [you])
        await graph.add(social, me.id, 2**61)  # as if the account were erased and the event still on its way
        assert [user["id"] for user in (await me.post("/api/contact/get-friend-list"))["users"]] == [you.uid]
        assert len((await me.social("GET", "/v1/social/friends"))["list"]) == 1
        await graph.unfriend(social, me.id, 2**61)


LISTS = [
    ("POST", "/api/contact/get-friend-list"),
    ("GET", "/api/contact/get-block-list"),
    ("GET", "/api/contact/search-users"),
    ("GET", "/v1/social/friend/putIns"),
    ("GET", "/v1/social/friends"),
]


@pytest.mark.parametrize(("method", "path"), LISTS)
async def test_made_up_cursors_are_refused(visitor: FrontEnd, user: Users, method: str, path: str) -> None:
    me = await new_person(visitor, user)
    for cursor in ("x", "W10", "WzFd", "WyJ4Il0", "WzFlMzBd", "中", "WyJhIiwiYiJd" * 500):
        given = {"cursor": cursor, "query": "a"}
        response = await me.call(method, path, **({"params": given} if method == "GET" else {"json": given}))
        could_be_ours = cursor == "WzFd" and not path.endswith("search-users")
        assert response.status_code == (200 if could_be_ours else 400), cursor
        assert response.json().get("code") in (None, 20000, 10001, 100002)


@pytest.mark.parametrize(("method", "path"), [*LISTS, ("GET", "/v1/social/friends/online")])
async def test_a_list_costs_one_call_of_each_service(
    visitor: FrontEnd, user: Users, social: Social, gateway: RunningGateway, method: str, path: str
) -> None:
    me, *others = await new_people(visitor, user, 31)
    await befriend(social, me, others[:10])
    for other in others[10:20]:
        await graph.ask(social, other.id, me.id)
    for other in others[20:]:
        await graph.block(social, me.id, other.id)
    await me.get("/api/user/get-my-info")  # the session is cached now
    gateway.container.cards.clear()
    with counting_calls() as calls:
        given = {"params": {"query": "u"}} if method == "GET" else {"json": {}}
        response = await me.call(method, path, **given)
    assert response.status_code == 200
    body = response.json()
    assert "onLineList" in body or len(body["list"] if "list" in body else body["data"]["users"]) >= 10
    assert sum(calls[name] for name in calls if name.startswith("hitok.social")) <= 1
    assert sum(calls[name] for name in calls if name.startswith("hitok.user")) <= 1


async def test_many_lists_at_once_share_their_calls(
    visitor: FrontEnd, user: Users, social: Social, gateway: RunningGateway
) -> None:
    me, *others = await new_people(visitor, user, 6)
    await befriend(social, me, others)
    await me.post("/api/contact/get-friend-list")
    gateway.container.cards.clear()
    with counting_calls() as calls:
        await asyncio.gather(*(me.post("/api/contact/get-friend-list") for _ in range(20)))
    assert calls["hitok.user.v1.Users"] <= 20


def test_each_reason_has_a_row_of_its_own() -> None:
    codes = {code for failure in FAILURES.values() if (code := failure.video_code) >= 10017}
    assert {10019, 10020, 10021, *range(10022, 10038)} <= codes | {10017, 10018}
