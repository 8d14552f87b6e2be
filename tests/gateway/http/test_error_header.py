"""The header `x-error: REASON field` of every refusal, and the same in the request log."""

import asyncio
from typing import Any

import pytest
import structlog

from gateway.container import Container
from tests.gateway.people import Person, by_email
from tests.gateway.routes import Route, every_route_with_a_body
from tests.support.gateway import FrontEnd, RunningGateway, gateway_settings, running_gateway, serving_gateway
from tests.support.servers import Servers
from tests.support.user import PASSWORD, Running

REGISTER = {"email": "a@example.com", "code": "123456", "password": PASSWORD, "username": "abc"}
PHONE = {"phone": "17512345678", "password": PASSWORD}
JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
async def alice(gateway: RunningGateway, user: Running) -> Person:
    return await by_email(gateway.http, user)


async def error_of(front: FrontEnd, method: str, path: str, **options: Any) -> str:
    response = await front.call(method, path, **options)
    assert response.status_code >= 400, response.text
    assert len(response.headers.get_list("x-error")) == 1
    return str(response.headers["x-error"])


@pytest.mark.parametrize(
    ("path", "body", "error"),
    [
        ("/api/login/login", {"password": "x"}, "PARAMETER_MISSING email"),
        ("/api/login/login", {"email": "", "password": "x"}, "PARAMETER_EMPTY email"),
        ("/api/login/login", {"email": 1, "password": "x"}, "PARAMETER_MISTYPED email"),
        ("/api/login/login", {"email": "a@example.com", "password": PASSWORD}, "CREDENTIALS_WRONG"),
        ("/api/login/register", REGISTER | {"email": "nobody"}, "EMAIL_INVALID email"),
        ("/api/login/register", REGISTER | {"password": "short"}, "PASSWORD_INVALID password"),
        ("/api/login/register", REGISTER | {"username": "a\nb"}, "USERNAME_INVALID username"),
        ("/api/login/register", REGISTER | {"avatar": "x:y"}, "PROFILE_INVALID avatar"),
        ("/api/login/register", REGISTER, "CODE_INVALID code"),
        ("/api/v1/user/register", PHONE | {"phone": "1"}, "PHONE_INVALID phone"),
        ("/api/v1/user/register", PHONE | {"nickname": "a\nb"}, "USERNAME_INVALID nickname"),
        ("/api/v1/user/login", {"phone": "17512345678"}, "PARAMETER_MISSING password"),
    ],
)
async def test_a_refusal_names_its_reason_and_the_parameter(
    visitor: FrontEnd, path: str, body: dict[str, Any], error: str
) -> None:
    assert await error_of(visitor, "POST", path, json=body) == error


@pytest.mark.parametrize(
    ("path", "body", "error"),
    [
        ("/api/user/change-password", {"old_password": PASSWORD, "new_password": "x"}, "PASSWORD_INVALID new_password"),
        ("/api/user/set-profile", {"user": {"bio": 1}}, "PARAMETER_MISTYPED user.bio"),
        ("/api/user/set-profile", {"bio": "x" * 501}, "PROFILE_INVALID bio"),
        ("/api/contact/add-friend", {}, "PARAMETER_MISSING username"),
        ("/api/contact/add-friend", {"username": "n o b o d y"}, "USER_NOT_FOUND username"),
        ("/api/contact/create-community", {"name": "\u200b"}, "GROUP_NAME_EMPTY name"),
        ("/api/contact/create-community", {"name": "a", "icon": "x:y"}, "GROUP_INVALID icon"),
        ("/api/videos/like-video", {"video_id": 1, "user_id": 2}, "ACTOR_FORGED user_id"),
        ("/v1/social/friend/putIn", {"req_msg": "hi"}, "PARAMETER_MISSING user_uid"),
    ],
)
async def test_so_does_one_of_a_service(alice: Person, path: str, body: dict[str, Any], error: str) -> None:
    assert await error_of(alice, "POST", path, json=body) == error


@every_route_with_a_body
async def test_any_missing_field_is_named(alice: Person, route: Route) -> None:
    for field in route.fields:
        if field.required:
            body = {key: value for key, value in route.body.items() if key != field.name}
            assert await error_of(alice, route.method, route.path, json=body) == f"PARAMETER_MISSING {field.name}"


async def test_refusals_without_a_parameter(visitor: FrontEnd, alice: Person) -> None:
    login, form = "/api/login/login", {"Content-Type": "text/plain"}
    assert await error_of(visitor, "GET", "/nowhere") == "ROUTE_NOT_FOUND"
    assert await error_of(visitor, "GET", "/v1/social/nowhere") == "ROUTE_NOT_FOUND"
    assert await error_of(visitor, "GET", login) == "METHOD_NOT_ALLOWED"
    assert await error_of(visitor, "POST", login, content=b"{", headers=JSON) == "PARAMETER_INVALID"
    assert await error_of(visitor, "POST", login, content=b"{}", headers=form) == "CONTENT_TYPE_INVALID content-type"
    assert await error_of(visitor, "POST", login, content=b" " * 1_048_577, headers=JSON) == "BODY_TOO_LARGE"
    assert await error_of(visitor, "GET", login, headers={"X-Long": "x" * 17_000}) == "HEADERS_TOO_LARGE"
    assert await error_of(visitor, "GET", "/api/user/get-my-info") == "TOKEN_MISSING authorization"
    assert await error_of(FrontEnd(alice.http, "x"), "GET", "/v1/social/friends") == "TOKEN_INVALID"
    assert await error_of(alice, "POST", "/api/file/tus", headers={}) == "TUS_VERSION_INVALID tus-resumable"


async def test_an_answer_that_is_no_refusal_has_no_such_header(alice: Person) -> None:
    assert "x-error" not in (await alice.call("GET", "/api/user/get-my-info")).headers


async def test_a_fault_of_ours_has_a_reason_and_no_more(alice: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: object) -> None:
        raise RuntimeError("SELECT secret FROM account")

    monkeypatch.setattr(Container, "profile", broken)
    assert await error_of(alice, "GET", "/api/user/get-my-info") == "INTERNAL"


async def test_over_a_limit_and_with_a_service_away(servers: Servers) -> None:
    away = gateway_settings(servers, HITOK_RATE_LIMIT_SCALE="1", HITOK_USER_TARGET="127.0.0.1:1")
    async with running_gateway(away, "192.0.2.77") as running:  # the tests of limits use up what 127.0.0.1 may do
        visitor, body = FrontEnd(running.http), {"email": "a@example.com", "password": "x"}
        assert await error_of(visitor, "POST", "/api/login/login", json=body) == "UNAVAILABLE"
        errors = [await error_of(visitor, "POST", "/api/login/login", json={}) for _ in range(40)]
        assert errors[-1] == "TOO_MANY_REQUESTS"


async def test_what_is_no_http_has_it_too(servers: Servers) -> None:
    async with serving_gateway(gateway_settings(servers)) as (_, url):
        reader, writer = await asyncio.open_connection(*url.removeprefix("http://").split(":"))
        writer.write(b"NONSENSE\r\n\r\n")
        answer = await asyncio.wait_for(reader.read(), 10)
        writer.close()
    assert b"\r\nx-error: PARAMETER_INVALID\r\n" in answer


async def test_a_browser_may_read_it(servers: Servers, user: Running) -> None:
    settings = gateway_settings(servers, HITOK_USER_TARGET=user.target, HITOK_CORS_ORIGINS="https://app.example.com")
    async with running_gateway(settings) as running:
        response = await running.http.get("/nowhere", headers={"Origin": "https://app.example.com"})
    assert "x-error" in response.headers["access-control-expose-headers"].split(", ")


async def test_the_log_has_the_reason_and_the_field_of_a_refusal(visitor: FrontEnd, alice: Person) -> None:
    with structlog.testing.capture_logs() as events:
        await visitor.call("POST", "/api/login/login", json={"email": "a@example.com"})
        await visitor.call("GET", "/nowhere")
        await alice.call("GET", "/api/user/get-my-info")
    lines = [event for event in events if event["event"] == "request"]
    assert [(line.get("reason"), line.get("field")) for line in lines] == [
        ("PARAMETER_MISSING", "password"),
        ("ROUTE_NOT_FOUND", None),
        (None, None),
    ]
