"""Answers in the way of the originals: docs/contract/compat.md."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import structlog

from services.kit.config import ConfigError
from tests.gateway.people import Person, by_email, by_phone, disable
from tests.support.gateway import FrontEnd, RunningGateway, gateway_settings, running_gateway
from tests.support.media import png
from tests.support.servers import Servers
from tests.support.social import Running as Social
from tests.support.user import PASSWORD, Running
from tests.support.videos import Videos

FEED, LOGIN = "/api/videos", "/api/login/login"
WEB_APP = {"X-Hitok-Web": "1"}


@pytest.fixture(scope="module")
async def original(servers: Servers, user: Running, social: Social, media: Videos) -> AsyncIterator[RunningGateway]:
    targets = {"USER": user.target, "SOCIAL": social.target, "MEDIA": media.target}
    named = {f"HITOK_{name}_TARGET": target for name, target in targets.items()}
    named["HITOK_CHAT_TARGET"] = "127.0.0.1:1"  # nobody is online
    compat = {"HITOK_COMPAT": "shortvideo-original,hichat-original", "HITOK_VAR": media.settings.var}
    async with running_gateway(gateway_settings(servers, **named, **compat)) as running:
        yield running


@pytest.fixture(scope="module")
async def alice(original: RunningGateway, user: Running) -> Person:
    return await by_email(original.http, user)


async def answer(front: FrontEnd, method: str, path: str, **options: Any) -> tuple[int, Any]:
    """Status and code; the length is checked by httpx."""
    response = await front.call(method, path, **options)
    if "content-length" in response.headers:
        assert int(response.headers["content-length"]) == len(response.content)
    return response.status_code, response.json().get("code")


async def test_the_answers_are_documented_unless_the_setting_says_otherwise(visitor: FrontEnd) -> None:
    assert await answer(visitor, "GET", FEED) == (401, -20001)
    assert await answer(visitor, "POST", "/api/refresh-token", json={"rtoken": "x"}) == (404, 10022)


async def test_every_error_has_status_200_and_its_code(alice: Person) -> None:
    visitor = FrontEnd(alice.http)
    assert await answer(visitor, "GET", FEED) == (200, -20001)
    assert await answer(visitor, "GET", LOGIN) == (200, 10023)
    assert await answer(visitor, "GET", "/api/nowhere") == (200, 10022)
    assert await answer(visitor, "POST", LOGIN, json={}) == (200, 10004)
    wrong = {"email": alice.email, "password": "wrong one"}
    assert await answer(visitor, "POST", LOGIN, json=wrong) == (200, 10009)
    assert await answer(alice, "GET", "/api/user/get-user-info", params={"id": "1"}) == (200, 10011)
    refused = await visitor.call("GET", FEED)
    assert refused.headers["x-error"] == "TOKEN_MISSING authorization"
    assert refused.json() == {"code": -20001, "message": "token为空", "data": {}}


async def test_the_log_keeps_the_status(alice: Person) -> None:
    with structlog.testing.capture_logs() as events:
        await FrontEnd(alice.http).call("GET", FEED)
    (line,) = [event for event in events if event["event"] == "request"]
    assert (line["status"], line["reason"], line["route"]) == (401, "TOKEN_MISSING", FEED)


async def test_the_feed_and_refresh_have_code_200_the_others_20000(alice: Person) -> None:
    response = await alice.call("GET", FEED, params={"page": 1, "page_size": 10, "order_by": "CreatedTime"})
    assert (response.status_code, response.json()["code"], response.json()["message"]) == (200, 200, "成功")
    assert isinstance(response.json()["data"]["data"], list)
    tokens = await alice.post(LOGIN, email=alice.email, password=PASSWORD)
    for path in ("/api/refresh-token", "/api/login/refresh-token", "/api/refresh-token/"):
        fresh = await alice.call("POST", path, json={"rtoken": tokens["rtoken"]})
        assert (fresh.status_code, fresh.json()["code"]) == (200, 200)
        again = FrontEnd(alice.http, fresh.json()["data"]["atoken"])
        assert (await again.get("/api/user/get-my-info"))["id"] == alice.id
    assert await answer(alice, "POST", "/api/contact/load-community") == (200, 20000)


async def test_an_upload_has_code_200(alice: Person) -> None:
    for content, code in ((png(), 200), (b"", 60002)):
        files = {"file": ("a.png", content, "image/png")}
        assert await answer(alice, "POST", "/api/file/upload", files=files) == (200, code)


async def test_any_bad_token_is_an_expired_one_but_for_the_refresh(alice: Person, user: Running) -> None:
    """The original's front end asks for a new token then, and logs out when it gets none."""
    gone = await by_email(alice.http, user)
    await disable(user, gone)
    for token in ("x", "a b", gone.token):
        assert await answer(FrontEnd(alice.http, token), "GET", FEED) in ((200, -20000), (200, 10024))
    assert await answer(alice, "POST", "/api/refresh-token", json={"rtoken": alice.token}) == (200, -20003)
    assert await answer(alice, "POST", "/api/refresh-token", json={"rtoken": "x"}) == (200, -20002)


async def test_the_chat_family_has_400_for_a_wrong_password_alone(original: RunningGateway, user: Running) -> None:
    visitor, phone = FrontEnd(original.http), (await by_phone(original.http, user)).phone
    for path in ("/api/v1/user/login", "/api/v2/user/login"):
        wrong = await visitor.call("POST", path, json={"phone": phone, "password": "wrong one"})
        assert (wrong.status_code, wrong.json()["code"]) == (400, 100007)
    assert await answer(visitor, "GET", "/api/v1/user/detail") == (401, 100003)
    assert await answer(visitor, "GET", "/v1/social/friends") == (401, 100003)
    assert await answer(visitor, "GET", "/v1/social/nowhere") == (404, 100011)


async def test_class_1_are_the_requests_to_the_caller(
    original: RunningGateway, gateway: RunningGateway, user: Running
) -> None:
    asking, asked = await by_phone(original.http, user), await by_phone(original.http, user)
    await asking.social("POST", "/v1/social/friend/putIn", json={"user_uid": asked.id})

    async def count(http: httpx.AsyncClient, person: Person, kind: int | None, **options: Any) -> int:
        params = {} if kind is None else {"class": kind}
        path = "/v1/social/friend/putIns"
        return len((await FrontEnd(http, person.token).social("GET", path, params=params))["list"])

    for person, kind, by_code, by_document in (
        (asking, 1, 0, 1),
        (asking, 2, 1, 0),
        (asked, 1, 1, 0),
        (asked, 2, 0, 1),
        (asked, 0, 1, 1),
        (asking, None, 1, 1),
    ):
        assert await count(original.http, person, kind) == by_code
        assert await count(gateway.http, person, kind) == by_document


async def test_what_the_originals_do_not_have_is_as_documented(alice: Person) -> None:
    """Our web app, resumable uploads, files, health."""
    visitor = FrontEnd(alice.http)
    assert await answer(visitor, "GET", FEED, headers=WEB_APP) == (401, -20001)
    assert await answer(alice, "GET", FEED, headers=WEB_APP) == (200, 20000)
    assert await answer(visitor, "POST", "/api/refresh-token", headers=WEB_APP, json={}) == (404, 10022)
    assert await answer(alice, "POST", "/api/file/tus") == (412, 10057)
    assert (await visitor.call("GET", "/media/" + "0" * 64 + ".mp4")).status_code == 404
    assert (await visitor.call("GET", "/health/live")).status_code == 200
    assert (await visitor.call("GET", "/nowhere")).status_code == 404


def test_an_unknown_original_is_no_setting(servers: Servers) -> None:
    with pytest.raises(ConfigError, match="HITOK_COMPAT"):
        gateway_settings(servers, HITOK_COMPAT="shortvideo")
