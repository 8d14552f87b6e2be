"""The short-video family's routes about accounts, as api.md and its document show them."""

import re
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.gateway.people import Person, an_admin, ask_code, by_email, by_phone, claims_of, log_in
from tests.support.gateway import FrontEnd, RunningGateway, gateway_settings, running_gateway
from tests.support.servers import Servers
from tests.support.user import PASSWORD, Running, new_name, new_phone, running_user_service, user_settings

SAMPLE_USER = {
    *("id", "CreatedTime", "UpdatedTime", "username", "password", "email", "avatar", "role", "Phone"),
    *("ClientIp", "ClientPort", "LoginTime", "HeartbeatTime", "login_out_time", "IsLogout", "DeviceInfo"),
    *("Bio", "bio"),
}
SCHEMA_USER = {"id", "username", "avatar", "role", "bio", "create_at", "email"}
PRIVATE = ("email", "Phone", "ClientIp", "ClientPort", "DeviceInfo")
TIMES = ("LoginTime", "HeartbeatTime", "login_out_time")
RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
PROFILES = ["/api/user/get-user-info", "/api/user/get-profile"]


@pytest.fixture
async def alice(gateway: RunningGateway, user: Running) -> Person:
    return await by_email(gateway.http, user)


@pytest.fixture
async def bob(gateway: RunningGateway, user: Running) -> Person:
    return await by_email(gateway.http, user)


async def register(visitor: FrontEnd, user: Running, name: str, **more: str) -> FrontEnd:
    address = f"{name}@example.com"
    code = await ask_code(visitor, user, address)
    data = await visitor.post("/api/login/register", email=address, code=code, password=PASSWORD, username=name, **more)
    assert set(data) == {"atoken"}
    return visitor.with_token(data["atoken"])


async def test_registering_needs_the_mailed_code_and_gives_a_token_of_two_hours(
    visitor: FrontEnd, user: Running
) -> None:
    name = new_name()
    front = await register(visitor, user, name, avatar="https://example.com/a.png")

    claims = claims_of(front.token)
    assert set(claims) == {"exp", "iat", "userid", "hichat2.com", "username", "role", "class", "sid", "jti"}
    assert claims["userid"] == claims["hichat2.com"]
    assert (claims["username"], claims["role"], claims["class"]) == (name, 0, "atoken")
    assert claims["exp"] - claims["iat"] == 7_200
    assert abs(claims["iat"] - time.time()) < 10
    me = await front.get("/api/user/get-my-info")
    assert (me["username"], me["avatar"], me["bio"]) == (name, "https://example.com/a.png", f"{name}很懒，什么都没留下")


@pytest.fixture
async def mute_service(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    """It can send no mail."""
    folder = tmp_path_factory.mktemp("mute")
    settings = user_settings(servers.create_database("mute"), servers, folder, HITOK_SMTP_URL="smtp://127.0.0.1:1")
    async with running_user_service(settings) as running:
        yield running


async def test_a_mail_that_cannot_be_sent_is_told(servers: Servers, mute_service: Running) -> None:
    async with running_gateway(gateway_settings(servers, HITOK_USER_TARGET=mute_service.target)) as running:
        front, body = FrontEnd(running.http), {"email": "nobody@example.com"}
        refused = await front.refused("POST", "/api/login/send-code", 503, 60006, json=body)
    assert refused.headers["retry-after"] == "1"


async def test_a_wrong_code_registers_nobody(visitor: FrontEnd, user: Running) -> None:
    name = new_name()
    code = await ask_code(visitor, user, f"{name}@example.com")
    body = {"email": f"{name}@example.com", "password": PASSWORD, "username": name}
    wrong = f"{(int(code) + 1) % 10**6:06}"

    await visitor.refused("POST", "/api/login/register", 400, 10008, json=body | {"code": wrong})

    await visitor.refused("POST", "/api/login/login", 401, 10009, json={"email": body["email"], "password": PASSWORD})
    await visitor.post("/api/login/register", **body, code=code)


async def test_a_taken_email_or_username_is_a_conflict(visitor: FrontEnd, user: Running, alice: Person) -> None:
    for email, name in ((alice.email, new_name()), (f"{new_name()}@example.com", alice.name.upper())):
        code = await ask_code(visitor, user, email)
        body = {"email": email, "code": code, "password": PASSWORD, "username": name}
        await visitor.refused("POST", "/api/login/register", 409, 10010, json=body)


async def test_a_code_is_mailed_alike_to_known_and_unknown_addresses(visitor: FrontEnd, alice: Person) -> None:
    known = await visitor.call("POST", "/api/login/send-code", json={"email": alice.email})
    unknown = await visitor.call("POST", "/api/login/send-code", json={"email": f"{new_name()}@example.com"})

    assert known.content == unknown.content == '{"code":20000,"message":"成功","data":{}}'.encode()


async def test_an_address_gets_ten_codes_a_day(visitor: FrontEnd) -> None:
    address = f"{new_name()}@example.com"
    for _ in range(10):
        await visitor.post("/api/login/send-code", email=address)

    refused = await visitor.refused("POST", "/api/login/send-code", 429, -20007, json={"email": address})

    assert 80_000 < int(refused.headers["retry-after"]) <= 86_400


async def test_logging_in_gives_both_tokens(visitor: FrontEnd, alice: Person) -> None:
    data = await visitor.post("/api/login/login", email=alice.email, password=PASSWORD)

    assert set(data) == {"atoken", "rtoken"}
    access, refresh = claims_of(data["atoken"]), claims_of(data["rtoken"])
    assert (access["class"], refresh["class"]) == ("atoken", "rtoken")
    assert (access["exp"] - access["iat"], refresh["exp"] - refresh["iat"]) == (7_200, 604_800)
    assert access["sid"] == refresh["sid"]


async def test_a_wrong_password_and_an_unknown_address_look_the_same(visitor: FrontEnd, alice: Person) -> None:
    wrong = {"email": alice.email, "password": "wrong one"}
    unknown = {"email": f"{new_name()}@example.com", "password": PASSWORD}

    answers = [await visitor.refused("POST", "/api/login/login", 401, 10009, json=body) for body in (wrong, unknown)]

    assert answers[0].content == answers[1].content


async def test_a_refresh_token_gives_a_new_atoken_of_the_same_session(visitor: FrontEnd, alice: Person) -> None:
    atoken, rtoken = await log_in(visitor, alice)

    data = await visitor.post("/api/login/refresh-token", rtoken=rtoken)

    assert set(data) == {"atoken"}
    assert claims_of(data["atoken"])["sid"] == claims_of(atoken)["sid"]
    assert (await visitor.with_token(data["atoken"]).get("/api/user/get-my-info"))["id"] == alice.id


async def test_logging_out_ends_this_session_only(visitor: FrontEnd, alice: Person) -> None:
    atoken, rtoken = await log_in(visitor, alice)
    other = visitor.with_token(atoken)
    await other.get("/api/user/get-my-info")

    assert await other.post("/api/login/logout") == {}

    await other.refused("GET", "/api/user/get-my-info", 401, -20002)
    await visitor.refused("POST", "/api/login/refresh-token", 401, -20002, json={"rtoken": rtoken})
    await alice.get("/api/user/get-my-info")


@pytest.mark.parametrize("path", ["/api/user/get-my-info", *PROFILES])
async def test_a_profile_has_the_fields_of_the_schema_and_of_the_sample(alice: Person, path: str) -> None:
    data = await alice.get(path, id=alice.id)

    user = data["user"]
    assert set(user) == SAMPLE_USER
    assert set(data) >= SCHEMA_USER | {"user"}
    assert all(isinstance(data[name], str) for name in SCHEMA_USER)
    assert all(isinstance(user[name], str) for name in SAMPLE_USER - {"IsLogout"})
    assert (data["id"], user["id"], data["email"], user["email"]) == (alice.id, alice.id, alice.email, alice.email)
    assert (user["password"], user["IsLogout"], user["role"], data["role"]) == ("", False, "0", "0")
    assert user["bio"] == user["Bio"] == data["bio"]
    assert data["create_at"] == user["CreatedTime"]
    assert abs(int(user["CreatedTime"]) / 1000 - time.time()) < 60
    assert int(user["UpdatedTime"]) >= int(user["CreatedTime"])
    assert all(RFC3339.fullmatch(user[name]) for name in TIMES)


async def test_a_login_shows_where_it_came_from_to_oneself_only(visitor: FrontEnd, alice: Person, bob: Person) -> None:
    login = {"email": alice.email, "password": PASSWORD}
    await visitor.ok("POST", "/api/login/login", json=login, headers={"User-Agent": "front end 1.0"})

    own = (await alice.get("/api/user/get-my-info"))["user"]
    shown = (await bob.get("/api/user/get-user-info", id=alice.id))["user"]

    assert (own["ClientIp"], own["ClientPort"], own["DeviceInfo"]) == ("127.0.0.1", "40000", "front end 1.0")
    assert [shown[name] for name in PRIVATE] == [""] * len(PRIVATE)


@pytest.mark.parametrize("path", PROFILES)
async def test_private_fields_are_for_oneself_and_admins(
    gateway: RunningGateway, user: Running, alice: Person, bob: Person, path: str
) -> None:
    boss = await an_admin(gateway.http, user)

    for viewer, email in ((alice, alice.email), (boss, alice.email), (bob, "")):
        data = await viewer.get(path, id=alice.id)
        assert (data["email"], data["user"]["email"]) == (email, email)


@pytest.mark.parametrize("path", PROFILES)
async def test_a_get_takes_its_id_from_query_or_body_as_string_or_number(alice: Person, bob: Person, path: str) -> None:
    ways: list[dict[str, Any]] = [
        {"params": {"id": bob.id}},
        {"json": {"id": bob.id}},
        {"json": {"id": int(bob.id), "unknown": {"field": 1}}},
        {"params": {"id": bob.id, "unknown": "field"}},
        {"content": f'{{"id":"{bob.id}"}}'},  # Postman's GET: no content type
        {"content": f'{{"id":"{bob.id}"}}', "headers": {"Content-Type": "application/json; charset=utf-8"}},
        {"params": {"id": bob.id}, "json": {"id": "1"}},  # the query goes first
    ]

    for way in ways:
        assert (await alice.ok("GET", path, **way))["username"] == bob.name, way


@pytest.mark.parametrize("path", PROFILES)
@pytest.mark.parametrize("id", ["1", str(2**63 - 1)])
async def test_an_unknown_user_is_not_found(alice: Person, path: str, id: str) -> None:
    await alice.refused("GET", path, 404, 10011, params={"id": id})


async def test_a_profile_changes_flat_or_nested_and_only_where_told(alice: Person) -> None:
    sample = {"id": alice.id, "Bio": "新的简介", "username": alice.name, "email": alice.email, "role": "4"}
    assert await alice.post("/api/user/set-profile", id=alice.id, user=sample) == {}
    first = await alice.get("/api/user/get-my-info")
    assert await alice.post("/api/user/set-profile", id=int(alice.id), avatar="https://example.com/b.png") == {}
    second = await alice.get("/api/user/get-my-info")
    assert await alice.post("/api/user/set-profile", bio="", username=None) == {}
    third = await alice.get("/api/user/get-my-info")

    assert (first["bio"], first["username"], first["role"]) == ("新的简介", alice.name, "0")
    assert (second["bio"], second["avatar"]) == ("新的简介", "https://example.com/b.png")
    assert (third["bio"], third["avatar"], third["username"]) == ("", "https://example.com/b.png", alice.name)


async def test_whoever_changes_a_profile_sees_it_at_once_and_others_within_a_second(alice: Person, bob: Person) -> None:
    await bob.get("/api/user/get-user-info", id=alice.id)  # in the near cache

    await alice.post("/api/user/set-profile", bio="changed")

    assert (await alice.get("/api/user/get-user-info", id=alice.id))["bio"] == "changed"
    assert (await bob.get("/api/user/get-user-info", id=alice.id))["bio"] == "changed"


async def test_anothers_profile_is_not_ours_to_change(
    gateway: RunningGateway, user: Running, alice: Person, bob: Person
) -> None:
    for body in ({"id": alice.id, "bio": "x"}, {"user": {"id": alice.id, "bio": "x"}}, {"id": "1", "bio": "x"}):
        await bob.refused("POST", "/api/user/set-profile", 403, -20008, json=body)
    boss = await an_admin(gateway.http, user)
    assert await boss.post("/api/user/set-profile", id=alice.id, bio="by an admin") == {}
    assert (await alice.get("/api/user/get-my-info"))["bio"] == "by an admin"


async def test_a_new_email_needs_a_code_and_a_taken_name_is_a_conflict(alice: Person, bob: Person) -> None:
    await alice.refused("POST", "/api/user/set-profile", 400, 10025, json={"email": "other@example.com"})
    await alice.refused("POST", "/api/user/set-profile", 409, 10010, json={"username": bob.name})


async def test_oneself_may_go_from_guest_to_user_and_no_further(alice: Person, bob: Person) -> None:
    assert await alice.post("/api/user/set-role", id=alice.id, role="1") == {}
    assert (await alice.get("/api/user/get-my-info"))["role"] == "1"

    for id, role in ((alice.id, 2), (alice.id, "4"), (bob.id, "1"), ("1", "1")):
        await alice.refused("POST", "/api/user/set-role", 403, -20008, json={"id": id, "role": role})
    for role in (-1, 5, 2**31, -(2**40)):
        await alice.refused("POST", "/api/user/set-role", 400, 10001, json={"id": alice.id, "role": role})


async def test_an_admin_sets_roles_up_to_member(gateway: RunningGateway, user: Running, alice: Person) -> None:
    boss = await an_admin(gateway.http, user)

    assert await boss.post("/api/user/set-role", id=alice.id, role=2) == {}

    assert (await alice.get("/api/user/get-my-info"))["role"] == "2"
    await boss.refused("POST", "/api/user/set-role", 403, -20008, json={"id": alice.id, "role": 3})
    await boss.refused("POST", "/api/user/set-role", 404, 10011, json={"id": "1", "role": 1})


async def test_sessions_are_listed_in_pages_and_revoked_one_by_one(visitor: FrontEnd, alice: Person) -> None:
    atokens = [(await log_in(visitor, alice))[0] for _ in range(2)]

    first = await alice.get("/api/user/sessions", limit=2)
    rest = await alice.get("/api/user/sessions", limit="2", cursor=first["next_cursor"])
    listed = first["sessions"] + rest["sessions"]

    fields = {"session_id", "device", "ip", "network", "created_at", "last_seen_at", "expires_at", "current"}
    assert all(set(session) == fields for session in listed)
    assert all(RFC3339.fullmatch(session[name]) for session in listed for name in fields if name.endswith("_at"))
    newest_first = [str(claims_of(token)["sid"]) for token in (*reversed(atokens), alice.token)]
    assert [session["session_id"] for session in listed] == newest_first
    assert [session["current"] for session in listed] == [False, False, True]
    assert rest["next_cursor"] == ""

    ended = visitor.with_token(atokens[0])
    await ended.get("/api/user/get-my-info")
    for _ in range(2):  # a second time is no error
        assert await alice.post("/api/user/revoke-session", session_id=claims_of(atokens[0])["sid"]) == {}
    await ended.refused("GET", "/api/user/get-my-info", 401, -20002)
    await visitor.with_token(atokens[1]).get("/api/user/get-my-info")


async def test_anothers_session_is_not_found(alice: Person, bob: Person) -> None:
    body = {"session_id": bob.session_id}
    await alice.refused("POST", "/api/user/revoke-session", 404, 10026, json=body)
    await bob.get("/api/user/get-my-info")


async def test_changing_the_password_ends_the_other_sessions(visitor: FrontEnd, alice: Person) -> None:
    other = visitor.with_token((await log_in(visitor, alice))[0])
    wrong = {"old_password": "not it", "new_password": "battery staple"}
    await alice.refused("POST", "/api/user/change-password", 401, 10009, json=wrong)

    assert await alice.post("/api/user/change-password", old_password=PASSWORD, new_password="battery staple") == {}

    await alice.get("/api/user/get-my-info")
    await other.refused("GET", "/api/user/get-my-info", 401, -20002)
    old = {"email": alice.email, "password": PASSWORD}
    await visitor.refused("POST", "/api/login/login", 401, 10009, json=old)
    await visitor.post("/api/login/login", email=alice.email, password="battery staple")


async def test_a_mailed_code_resets_the_password_and_ends_every_session(
    visitor: FrontEnd, user: Running, alice: Person
) -> None:
    code = await ask_code(visitor, user, alice.email)
    body = {"email": alice.email, "code": code, "password": "battery staple"}

    assert await visitor.post("/api/login/reset-password", **body) == {}

    await alice.refused("GET", "/api/user/get-my-info", 401, -20002)
    await visitor.post("/api/login/login", email=alice.email, password="battery staple")
    await visitor.refused("POST", "/api/login/reset-password", 400, 10008, json=body)  # the code is used up


async def test_one_person_may_log_in_from_either_family(
    gateway: RunningGateway, visitor: FrontEnd, user: Running, alice: Person
) -> None:
    phone, address = new_phone(), f"{new_name()}@example.com"
    assert await alice.post("/api/user/bind-phone", phone=phone, password=PASSWORD) == {}
    data = await visitor.chat("POST", "/api/v1/user/login", json={"phone": phone, "password": PASSWORD})
    assert claims_of(data["token"])["userid"] == alice.id

    carol = await by_phone(gateway.http, user)
    code = await ask_code(visitor, user, address)
    assert await carol.post("/api/user/bind-email", email=address, code=code, password=PASSWORD) == {}
    data = await visitor.post("/api/login/login", email=address, password=PASSWORD)
    assert claims_of(data["atoken"])["userid"] == carol.id


async def test_what_is_bound_to_another_is_a_conflict(
    gateway: RunningGateway, visitor: FrontEnd, user: Running, alice: Person
) -> None:
    carol = await by_phone(gateway.http, user)
    taken = {"phone": carol.phone, "password": PASSWORD}
    await alice.refused("POST", "/api/user/bind-phone", 409, 10010, json=taken)
    code = await ask_code(visitor, user, alice.email)
    taken = {"email": alice.email, "code": code, "password": PASSWORD}
    await carol.refused("POST", "/api/user/bind-email", 409, 10010, json=taken)


async def test_a_deleted_account_is_gone_and_its_names_are_free(
    visitor: FrontEnd, user: Running, alice: Person, bob: Person
) -> None:
    await alice.refused("POST", "/api/user/delete-account", 401, 10009, json={"password": "wrong one"})
    await bob.get("/api/user/get-user-info", id=alice.id)

    assert await alice.post("/api/user/delete-account", password=PASSWORD) == {}

    await alice.refused("GET", "/api/user/get-my-info", 401, -20002)
    await bob.refused("GET", "/api/user/get-user-info", 404, 10011, params={"id": alice.id})
    login = {"email": alice.email, "password": PASSWORD}
    await visitor.refused("POST", "/api/login/login", 401, 10009, json=login)
    again = await register(visitor, user, alice.name)
    assert (await again.get("/api/user/get-my-info"))["id"] != alice.id
