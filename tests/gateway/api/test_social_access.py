"""Who may do what between users and in groups: each route for each kind of caller, and with bad ids."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import text

from gateway.app import ENDPOINTS
from tests.support import social as graph
from tests.support.gateway import FrontEnd, is_chat_path, refusal_of
from tests.support.people import Person, World, new_person, new_world
from tests.support.social import Running as Social
from tests.support.user import Running as Users

Params = Callable[[World], Awaitable[dict[str, Any]]]
BETWEEN = ("added", "former", "refused", "muted")
KINDS = ("anonymous", "blocked", "stranger", *BETWEEN, "friend", "member", "manager", "owner")
NO_TOKEN = {True: (401, 100003), False: (401, -20001)}
OK = (200, 0)


@dataclass(frozen=True)
class Route:
    """What the kinds of caller get: `refused` names who and how; the others are served, the anonymous are not."""

    method: str
    path: str
    params: Params
    refused: dict[str, tuple[int, int]]
    note: str = ""
    open: bool = False

    def expected(self, kind: str) -> tuple[int, int]:
        if kind == "anonymous" and not self.open:
            return NO_TOKEN[is_chat_path(self.path)]
        return self.refused.get(kind, OK)


def given(**params: Any) -> Params:
    async def params_of(world: World) -> dict[str, Any]:
        return {name: str(value(world)) if callable(value) else value for name, value in params.items()}

    return params_of


def owner(world: World) -> int:
    return world.owner.id


def group(world: World) -> int:
    return world.group


async def a_member(world: World) -> dict[str, Any]:
    return {"community_id": world.group, "target_id": (await world.new_member()).id, "role": 1}


async def a_request(world: World) -> dict[str, Any]:
    return {"friend_req_id": await world.new_friend_request(), "handle_result": 1}


async def an_application(world: World) -> dict[str, Any]:
    return {"group_id": world.group, "group_req_id": await world.new_application(), "handle_result": 1}


async def an_invitation(world: World) -> dict[str, Any]:
    return {"group_id": world.group, "user_uid": (await world.newcomer()).id}


def all_but(*kinds: str, with_: tuple[int, int]) -> dict[str, tuple[int, int]]:
    return {kind: with_ for kind in KINDS[1:] if kind not in kinds}


def video(*kinds: str) -> dict[str, tuple[int, int]]:
    """Only these are served, the others have no permission."""
    return all_but(*kinds, with_=(403, -20008))


def chat(*kinds: str) -> dict[str, tuple[int, int]]:
    return all_but(*kinds, with_=(403, 100010))


MEMBERS, MANAGERS = ("member", "manager", "owner"), ("manager", "owner")
CONTACT, SOCIAL = "/api/contact/", "/v1/social/"


async def the_name(world: World) -> dict[str, Any]:
    return {"username": world.owner.name}


ROUTES = [
    Route(
        "POST", CONTACT + "add-friend", the_name, {"friend": (409, 10013), "added": (409, 10013), "owner": (400, 10012)}
    ),
    Route("POST", CONTACT + "get-friend-list", given(), {}),
    Route("POST", CONTACT + "get-friend-list", given(user_id=owner), video("owner"), "the owner's"),
    Route("GET", CONTACT + "get-user-list-online", given(), {}, open=True),
    Route("POST", CONTACT + "delete-friend", given(target_id=owner), {}),
    Route(
        "POST",
        CONTACT + "set-remark",
        given(target_id=owner, remark="x"),
        all_but("friend", "added", with_=(404, 10036)),
    ),
    Route("POST", CONTACT + "block", given(target_id=owner), {"owner": (400, 10029)}),
    Route("POST", CONTACT + "unblock", given(target_id=owner), {}),
    Route("GET", CONTACT + "get-block-list", given(), {}),
    Route("POST", CONTACT + "mute", given(target_id=owner), {"owner": (400, 10067)}),
    Route("POST", CONTACT + "unmute", given(target_id=owner), {}),
    Route("POST", CONTACT + "follow", given(target_id=owner), {"owner": (400, 10097)}),
    Route("POST", CONTACT + "unfollow", given(target_id=owner), {"owner": (400, 10097)}),
    Route("POST", CONTACT + "remove-follower", given(target_id=owner), {}),
    Route(
        "POST",
        CONTACT + "handle-follow-request",
        given(target_id=owner, accept=True),
        all_but(with_=(404, 10037)),
    ),
    Route("GET", CONTACT + "get-followers", given(), {}),
    Route("GET", CONTACT + "get-followers", given(user_id=owner), {"blocked": (403, 10099)}, "the owner's"),
    Route("GET", CONTACT + "get-following", given(user_id=owner), {"blocked": (403, 10099)}, "the owner's"),
    Route("GET", CONTACT + "get-follow-requests", given(), {}),
    Route("GET", CONTACT + "get-mute-list", given(), {}),
    Route("POST", CONTACT + "mute-word", given(word="w"), {}),
    Route("POST", CONTACT + "unmute-word", given(word="w"), {}),
    Route("GET", CONTACT + "get-muted-words", given(), {}),
    Route("GET", CONTACT + "get-settings", given(), {}),
    Route("POST", CONTACT + "set-settings", given(who_may_add="ask"), {}),
    Route("GET", CONTACT + "search-users", given(query="u"), {}),
    Route("GET", CONTACT + "search-communities", given(query="群"), {}),
    Route("GET", CONTACT + "get-group-list", given(), {}),
    Route("GET", CONTACT + "get-group-list", given(user_id=owner), video("owner"), "the owner's"),
    Route("POST", CONTACT + "load-community", given(), {}),
    Route("POST", CONTACT + "load-community", given(owner_id=owner), video("owner"), "the owner's"),
    Route("GET", CONTACT + "get-group-users", given(community_id=group), video(*MEMBERS)),
    Route("POST", CONTACT + "create-community", given(name="群"), {}),
    Route("POST", CONTACT + "join-community", given(community_id=group), {}),
    Route(
        "POST",
        CONTACT + "leave-community",
        given(community_id=group),
        video(*MEMBERS) | {"owner": (409, 10031)},
    ),
    Route("POST", CONTACT + "remove-member", a_member, video(*MANAGERS)),
    Route("POST", CONTACT + "set-member-role", a_member, video("owner")),
    Route("POST", CONTACT + "transfer-community", a_member, video("owner")),
    Route("POST", CONTACT + "dismiss-community", given(community_id=group), video("owner")),
    Route("POST", CONTACT + "update-community", given(community_id=group, desc="x"), video(*MANAGERS)),
    Route(
        "POST",
        "/friend/putIn",
        given(user_uid=owner),
        {"friend": (409, 100017), "added": (409, 100017), "owner": (400, 100016)},
    ),
    Route("PUT", SOCIAL + "friend/putIn", a_request, all_but("owner", with_=(404, 100024))),
    Route("GET", SOCIAL + "friend/putIns", given(), {}),
    Route("GET", SOCIAL + "friends", given(), {}),
    Route("GET", SOCIAL + "friends/online", given(), {}),
    Route("POST", SOCIAL + "group", given(name="群", icon=""), {}),
    Route("GET", SOCIAL + "groups", given(), {}),
    Route("POST", SOCIAL + "group/putIn", given(group_id=group), {}),
    Route("PUT", SOCIAL + "group/putIn", an_application, chat(*MANAGERS)),
    Route("GET", SOCIAL + "group/putIns", given(**{"class": 1}), {}, "mine"),
    Route("GET", SOCIAL + "group/putIns", given(group_id=group, **{"class": 2}), chat(*MANAGERS), "the group's"),
    Route("GET", SOCIAL + "group/users", given(group_id=group), chat(*MEMBERS)),
    Route("GET", SOCIAL + "group/users/online", given(group_id=group), chat(*MEMBERS)),
    Route("POST", SOCIAL + "group/invite", an_invitation, chat(*MANAGERS)),
]


async def call(person: FrontEnd, method: str, path: str, params: dict[str, Any]) -> tuple[int, int]:
    """Status and code; 0 for success."""
    response = await person.call(method, path, **({"params": params} if method == "GET" else {"json": params}))
    return OK if response.status_code == 200 else refusal_of(path, response)


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path} {route.note}".strip())
async def test_each_kind_of_caller(visitor: FrontEnd, user: Users, social: Social, route: Route) -> None:
    world = await new_world(visitor, user, social)
    actual = {}
    for kind in KINDS:
        caller = visitor if kind == "anonymous" else getattr(world, kind)
        actual[kind] = await call(caller, route.method, route.path, await route.params(world))
    assert actual == {kind: route.expected(kind) for kind in KINDS}


def test_the_table_has_every_social_route() -> None:
    tabled = {(route.method, route.path) for route in ROUTES}
    for handler in ENDPOINTS:
        declared = handler.opt["endpoint"]
        if any(path.startswith(("/api/contact/", "/v1/social", "/friend/")) for path in declared.paths):
            assert any((declared.method, path) in tabled for path in declared.paths), declared.paths


async def test_an_admin_sees_anyones_groups(visitor: FrontEnd, user: Users, social: Social) -> None:
    world = await new_world(visitor, user, social)
    admin = await new_person(visitor, user)
    async with user.service.database.transaction() as connection:
        await connection.execute(text(f"UPDATE account SET role = 3 WHERE id = {admin.id}"))
    (listed,) = (await admin.get("/api/contact/get-group-list", user_id=world.owner.uid))["groups"]
    assert listed["id"] == str(world.group)
    (listed,) = (await admin.post("/api/contact/load-community", owner_id=world.owner.uid))["groups"]
    await admin.refused("GET", "/api/contact/get-group-users", 403, -20008, params={"community_id": world.group})


# Each id that a route takes, with whatever else it needs.
IDS: list[tuple[str, str, str, dict[str, Any]]] = [
    ("POST", CONTACT + "get-friend-list", "user_id", {}),
    ("POST", CONTACT + "delete-friend", "target_id", {}),
    ("POST", CONTACT + "set-remark", "target_id", {"remark": ""}),
    ("POST", CONTACT + "block", "target_id", {}),
    ("POST", CONTACT + "unblock", "target_id", {}),
    ("POST", CONTACT + "mute", "target_id", {}),
    ("POST", CONTACT + "unmute", "target_id", {}),
    ("GET", CONTACT + "get-group-list", "user_id", {}),
    ("GET", CONTACT + "get-group-list", "owner_id", {}),
    ("POST", CONTACT + "load-community", "owner_id", {}),
    ("GET", CONTACT + "get-group-users", "community_id", {}),
    ("POST", CONTACT + "join-community", "community_id", {}),
    ("POST", CONTACT + "leave-community", "community_id", {}),
    ("POST", CONTACT + "remove-member", "community_id", {"target_id": 1}),
    ("POST", CONTACT + "remove-member", "target_id", {"community_id": 1}),
    ("POST", CONTACT + "set-member-role", "community_id", {"target_id": 1, "role": 1}),
    ("POST", CONTACT + "set-member-role", "target_id", {"community_id": 1, "role": 1}),
    ("POST", CONTACT + "transfer-community", "community_id", {"target_id": 1}),
    ("POST", CONTACT + "transfer-community", "target_id", {"community_id": 1}),
    ("POST", CONTACT + "dismiss-community", "community_id", {}),
    ("POST", CONTACT + "update-community", "community_id", {"name": "x"}),
    ("POST", "/friend/putIn", "user_uid", {}),
    ("PUT", SOCIAL + "friend/putIn", "friend_req_id", {"handle_result": 1}),
    ("POST", SOCIAL + "group/putIn", "group_id", {}),
    ("POST", SOCIAL + "group/putIn", "inviter_uid", {"group_id": 1, "join_source": 2}),
    ("PUT", SOCIAL + "group/putIn", "group_id", {"group_req_id": 1, "handle_result": 1}),
    ("PUT", SOCIAL + "group/putIn", "group_req_id", {"group_id": 1, "handle_result": 1}),
    ("GET", SOCIAL + "group/putIns", "group_id", {"class": 2}),
    ("GET", SOCIAL + "group/users", "group_id", {}),
    ("GET", SOCIAL + "group/users/online", "group_id", {}),
    ("POST", SOCIAL + "group/invite", "group_id", {"user_uid": 1}),
    ("POST", SOCIAL + "group/invite", "user_uid", {"group_id": 1}),
]
BAD_TEXTS = ["0", "-1", "abc", str(10**30), "1e400", "１", "\0", "1; DROP"]
BAD = [*BAD_TEXTS, 0, -1, 10**30, 2**63, 1.5, True, [1], {"a": 1}]
NOBODY = ("inviter_uid",)  # where 0 means nobody


@pytest.fixture(scope="module")
async def someone(gateway: Any, user: Users) -> Person:
    return await new_person(FrontEnd(gateway.http), user)


@pytest.mark.parametrize(
    ("method", "path", "name", "rest"), IDS, ids=lambda value: value if isinstance(value, str) else ""
)
async def test_bad_ids(someone: Person, method: str, path: str, name: str, rest: dict[str, Any]) -> None:
    codes = {100002} if is_chat_path(path) else {10001, 10003}
    for bad in BAD_TEXTS if method == "GET" else BAD:
        if name in NOBODY and bad in (0, "0"):
            continue
        status, code = await call(someone, method, path, {**rest, name: bad})
        assert status == 400, (bad, status, code)
        assert code in codes, (bad, status, code)


@pytest.mark.parametrize(
    ("method", "path", "name", "rest"), IDS, ids=lambda value: value if isinstance(value, str) else ""
)
async def test_ids_of_nobody_and_nothing(
    someone: Person, method: str, path: str, name: str, rest: dict[str, Any]
) -> None:
    for unknown in (2**63 - 1, 2**53):
        status, _ = await call(someone, method, path, {**rest, name: str(unknown)})
        served = name in ("target_id", "inviter_uid") and path.endswith(("delete-friend", "unblock", "unmute"))
        assert status in ((200,) if served else (403, 404)), (unknown, status)


@pytest.mark.parametrize("absent", [{}, None])
async def test_ids_that_are_needed(someone: Person, absent: dict[str, Any] | None) -> None:
    for method, path, name, rest in IDS:
        if name in ("user_id", "owner_id", "inviter_uid"):
            continue
        params = rest if absent == {} else {**rest, name: None}
        if method == "GET" and absent is None:
            continue
        status, code = await call(someone, method, path, params)
        expected = (100002,) if is_chat_path(path) else (10003, 10004)
        assert status == 400, (path, name)
        assert code in expected, (path, name)


async def test_another_groups_application_is_not_handled(visitor: FrontEnd, user: Users, social: Social) -> None:
    mine, other = await new_world(visitor, user, social), await new_world(visitor, user, social)
    request = await other.new_application()
    handled = {"group_id": mine.group, "group_req_id": request, "handle_result": 1}
    await mine.owner.refused("PUT", "/v1/social/group/putIn", 404, 100024, json=handled)
    assert (await graph.applications(social, other.owner.id, other.group))[0].result == 0
