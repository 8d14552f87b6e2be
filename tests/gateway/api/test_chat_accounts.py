"""The chat family's routes about accounts, and the one account base below both families."""

import time

import pytest

from tests.gateway.people import Person, by_email, by_phone, claims_of
from tests.support.gateway import FrontEnd, RunningGateway
from tests.support.user import PASSWORD, Running, new_phone

LOGINS = ["/api/v1/user/login", "/api/v2/user/login"]
CHAT_SECONDS = 8_640_000


@pytest.fixture
async def carol(gateway: RunningGateway, user: Running) -> Person:
    return await by_phone(gateway.http, user)


async def test_the_documents_own_registration_works(visitor: FrontEnd) -> None:
    phone = new_phone()
    body = {"nickname": "范丞丞", "phone": phone, "password": "dsafasf", "sex": 1, "avatar": "http://127.0.0.1/1.png"}

    data = await visitor.chat("POST", "/api/v1/user/register", json=body)

    claims = claims_of(data["token"])
    assert set(data) == {"token", "expire"}
    assert data["expire"] == claims["exp"] == claims["iat"] + CHAT_SECONDS
    assert claims["hichat2.com"] == claims["userid"]
    detail = await visitor.with_token(data["token"]).chat("GET", "/api/v1/user/detail")
    assert set(detail) == {"info"}
    assert await visitor.with_token(data["token"]).chat("GET", "/api/v1/user/user") == detail
    info = detail["info"]
    fields = {"id", "mobile", "nickname", "sex", "avatar", "lastLogin", "Introduction", "email"}
    assert set(info) >= fields
    assert (info["id"], info["mobile"], info["nickname"]) == (claims["userid"], phone, "范丞丞")
    assert (info["sex"], info["avatar"], info["email"]) == (1, "http://127.0.0.1/1.png", "")
    assert abs(int(info["lastLogin"]) - time.time()) < 60


async def test_a_nickname_defaults_to_the_phone_and_need_not_be_unique(visitor: FrontEnd) -> None:
    first, second = new_phone(), new_phone()
    await visitor.chat("POST", "/api/v1/user/register", json={"phone": first, "password": PASSWORD})

    data = await visitor.chat(
        "POST", "/api/v1/user/register", json={"phone": second, "password": PASSWORD, "nickname": first}
    )

    front = visitor.with_token(data["token"])
    assert (await front.chat("GET", "/api/v1/user/detail"))["info"]["nickname"] == first
    username = (await front.get("/api/user/get-my-info"))["username"]
    assert username != first
    assert username.startswith(first[:11])


@pytest.mark.parametrize("path", LOGINS)
async def test_logging_in_ignores_the_documents_other_fields(visitor: FrontEnd, carol: Person, path: str) -> None:
    body = {"phone": carol.phone, "password": PASSWORD, "nickname": ["x"], "sex": "male", "avatar": None}

    data = await visitor.chat("POST", path, json=body)

    assert claims_of(data["token"])["userid"] == carol.id
    assert abs(data["expire"] - time.time() - CHAT_SECONDS) < 60


@pytest.mark.parametrize("path", LOGINS)
async def test_a_wrong_password_and_an_unknown_phone_look_the_same(visitor: FrontEnd, carol: Person, path: str) -> None:
    wrong = {"phone": carol.phone, "password": "wrong one"}
    unknown = {"phone": new_phone(), "password": PASSWORD}

    answers = [await visitor.refused("POST", path, 401, 100007, json=body) for body in (wrong, unknown)]

    assert answers[0].content == answers[1].content


async def test_a_taken_phone_is_a_conflict(visitor: FrontEnd, carol: Person) -> None:
    for phone in (carol.phone, f"+86{carol.phone}", f"+86 {carol.phone[:3]} {carol.phone[3:]}"):
        body = {"phone": phone, "password": PASSWORD}
        await visitor.refused("POST", "/api/v1/user/register", 409, 100005, json=body)


async def test_one_token_is_good_for_both_families(gateway: RunningGateway, user: Running, carol: Person) -> None:
    alice = await by_email(gateway.http, user)

    assert (await carol.get("/api/user/get-my-info"))["user"]["Phone"] == carol.phone
    assert (await alice.chat("GET", "/api/v1/user/detail"))["info"]["email"] == alice.email


async def test_an_answer_is_spelt_as_in_the_document(carol: Person) -> None:
    response = await carol.call("GET", "/api/v1/user/detail")

    assert response.text.startswith('{"code":200,"msg":"","data":{"info":{')
    assert response.headers["content-type"].startswith("application/json")
