"""The web app's session: tokens in cookies that scripts cannot read and that no other page can use."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from gateway.web.session_cookies import ACCESS, RENEWAL, SessionCookies
from tests.gateway.people import Person, by_email, by_phone, claims_of, forged
from tests.support.gateway import FrontEnd, RunningGateway, gateway_settings, running_gateway
from tests.support.servers import Servers
from tests.support.user import PASSWORD, Running

ME, LOGIN, REFRESH = "/api/user/get-my-info", "/api/login/login", "/api/login/refresh-token"
HOST = "http://gateway"
PAGE = {"X-Hitok-Web": "1", "Sec-Fetch-Site": "same-origin", "Origin": HOST}


@pytest.fixture(scope="module")
async def web_gateway(servers: Servers, user: Running) -> AsyncIterator[RunningGateway]:
    async with running_gateway(
        gateway_settings(servers, HITOK_USER_TARGET=user.target, HITOK_WEB_APP="true")
    ) as running:
        yield running


@pytest.fixture
async def browser(web_gateway: RunningGateway) -> AsyncIterator[httpx.AsyncClient]:
    """It keeps cookies; another one for each test."""
    transport = httpx.ASGITransport(web_gateway.app)  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url=HOST) as http:
        yield http


@pytest.fixture(scope="module")
async def alice(web_gateway: RunningGateway, user: Running) -> Person:
    return await by_email(web_gateway.http, user)


async def log_in(browser: httpx.AsyncClient, person: Person) -> httpx.Response:
    body = {"email": person.email, "password": PASSWORD}
    response = await browser.post(LOGIN, json=body, headers=PAGE)
    assert response.status_code == 200, response.text
    return response


async def test_a_login_leaves_its_tokens_in_cookies_alone(browser: httpx.AsyncClient, alice: Person) -> None:
    response = await log_in(browser, alice)
    assert response.json() == {"code": 20000, "message": "成功", "data": {}}
    assert int(response.headers["content-length"]) == len(response.content)
    set_cookies = response.headers.get_list("set-cookie")
    assert [cookie.partition("=")[0] for cookie in set_cookies] == [ACCESS, RENEWAL]
    for cookie in set_cookies:
        assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(cookie.split("; "))
        assert "Secure" not in cookie.split("; ")
    assert (await browser.get(ME, headers=PAGE)).json()["data"]["id"] == alice.id


async def test_over_https_cookies_are_secure_and_of_this_host_alone(
    web_gateway: RunningGateway, browser: httpx.AsyncClient, alice: Person
) -> None:
    body = {"email": alice.email, "password": PASSWORD}
    headers = PAGE | {"Origin": "https://gateway"}
    response = await browser.post(f"https://gateway{LOGIN}", json=body, headers=headers)
    for cookie in response.headers.get_list("set-cookie"):
        assert cookie.startswith("__Host-hitok_") and "Secure" in cookie.split("; ")
    assert (await browser.get(f"https://gateway{ME}", headers=headers)).json()["data"]["id"] == alice.id


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Sec-Fetch-Site": "same-origin"},
        {"Origin": HOST},
        {"X-Hitok-Web": "1", "Origin": "http://evil.example"},
        {"X-Hitok-Web": "1", "Origin": "null"},
        {"X-Hitok-Web": "1", "Origin": "http://gateway.evil.example"},
        {"X-Hitok-Web": "1", "Origin": "http://gateway:81"},
        {"X-Hitok-Web": "1", "Sec-Fetch-Site": "same-site"},
        {"X-Hitok-Web": "1", "Sec-Fetch-Site": "cross-site"},
        {"X-Hitok-Web": "1", "Sec-Fetch-Site": "none"},
        {"X-Hitok-Web": "1", "Sec-Fetch-Site": "same-origin", "Origin": "http://evil.example"},
        {"X-Hitok-Web": "1", "Sec-Fetch-Site": "cross-site", "Origin": HOST},
    ],
    ids=str,
)
async def test_a_cookie_counts_for_no_other_page(
    browser: httpx.AsyncClient, alice: Person, headers: dict[str, str]
) -> None:
    await log_in(browser, alice)
    for method, path in (("GET", ME), ("POST", "/api/user/set-profile"), ("POST", "/api/login/logout")):
        response = await browser.request(method, path, headers=headers, json={"bio": "x"} if method == "POST" else None)
        assert (response.status_code, response.json()["code"]) == (401, -20001)
        assert "set-cookie" not in response.headers
    renewed = await browser.post(REFRESH, json={}, headers=headers)
    assert renewed.status_code == 400 and "set-cookie" not in renewed.headers
    assert (await browser.get(ME, headers=PAGE)).status_code == 200


async def test_another_page_gets_no_cookies_by_logging_in(browser: httpx.AsyncClient, alice: Person) -> None:
    """Else it could sign the visitor in as somebody else."""
    headers = PAGE | {"Origin": "http://evil.example"}
    response = await browser.post(LOGIN, json={"email": alice.email, "password": PASSWORD}, headers=headers)
    assert "set-cookie" not in response.headers


async def test_a_page_without_fetch_metadata_is_known_by_its_header(browser: httpx.AsyncClient, alice: Person) -> None:
    """Over plain HTTP in a local network, browsers send neither Sec-Fetch-Site nor, with a GET, an Origin."""
    await log_in(browser, alice)
    assert (await browser.get(ME, headers={"X-Hitok-Web": "1"})).status_code == 200


async def test_an_expired_token_is_refreshed_by_the_cookie(browser: httpx.AsyncClient, alice: Person) -> None:
    await log_in(browser, alice)
    session = claims_of(browser.cookies[ACCESS])["sid"]
    expired = forged(alice, session_id=int(session), lifetime=-10)
    browser.cookies.set(ACCESS, expired, "gateway.local", "/")
    response = await browser.get(ME, headers=PAGE)
    assert (response.status_code, response.json()["code"]) == (401, -20000)
    # What the body names does not count.
    response = await browser.post(REFRESH, headers=PAGE, json={"rtoken": "of somebody else"})
    assert response.json() == {"code": 20000, "message": "成功", "data": {}}
    assert [cookie.partition("=")[0] for cookie in response.headers.get_list("set-cookie")] == [ACCESS]
    assert claims_of(browser.cookies[ACCESS])["sid"] == session
    assert (await browser.get(ME, headers=PAGE)).status_code == 200


async def test_without_a_refresh_token_there_is_no_refresh(browser: httpx.AsyncClient) -> None:
    response = await browser.post(REFRESH, headers=PAGE)
    assert response.status_code == 400 and "set-cookie" not in response.headers


async def test_a_phone_login_replaces_the_session_of_an_email(
    browser: httpx.AsyncClient, alice: Person, web_gateway: RunningGateway, user: Running
) -> None:
    await log_in(browser, alice)
    ben = await by_phone(web_gateway.http, user)
    body = {"phone": ben.phone, "password": PASSWORD}
    response = await browser.post("/api/v1/user/login", json=body, headers=PAGE)
    assert set(response.json()["data"]) == {"expire"}
    assert set(browser.cookies) == {ACCESS}, "a refresh would bring back the other user"
    assert (await browser.get(ME, headers=PAGE)).json()["data"]["id"] == ben.id


async def test_logging_out_ends_the_session_and_removes_the_cookies(browser: httpx.AsyncClient, alice: Person) -> None:
    await log_in(browser, alice)
    token = browser.cookies[ACCESS]
    assert (await browser.post("/api/login/logout", headers=PAGE)).status_code == 200
    assert set(browser.cookies) == set()
    assert (await browser.get(ME, headers={"Authorization": f"Bearer {token}"})).status_code == 401


async def test_a_refused_login_changes_nothing(browser: httpx.AsyncClient, alice: Person) -> None:
    await log_in(browser, alice)
    response = await browser.post(LOGIN, headers=PAGE, json={"email": alice.email, "password": "wrong one"})
    assert (response.status_code, response.json()["code"]) == (401, 10009)
    assert set(browser.cookies) == {ACCESS, RENEWAL}


async def test_an_authorization_header_goes_before_a_cookie(
    browser: httpx.AsyncClient, alice: Person, web_gateway: RunningGateway, user: Running
) -> None:
    await log_in(browser, alice)
    ben = await by_email(web_gateway.http, user)
    response = await browser.get(ME, headers=PAGE | {"Authorization": f"Bearer {ben.token}"})
    assert response.json()["data"]["id"] == ben.id


async def test_other_clients_notice_nothing(web_gateway: RunningGateway, alice: Person) -> None:
    front = FrontEnd(web_gateway.http)
    data = await front.post(LOGIN, email=alice.email, password=PASSWORD)
    assert set(data) == {"atoken", "rtoken"}
    assert set(await front.post(REFRESH, rtoken=data["rtoken"])) == {"atoken"}


async def test_where_the_app_is_not_served_cookies_do_not_exist(gateway: RunningGateway, alice: Person) -> None:
    cookie = {"Cookie": f"{ACCESS}={alice.token}"}
    assert (await gateway.http.get(ME, headers=PAGE | cookie)).status_code == 401


async def test_a_public_address_counts_as_our_own_origin() -> None:
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(dict(scope["headers"]).get(b"authorization"))

    around = SessionCookies(app, "https://hitok.example")
    for origin in (b"https://hitok.example", b"https://other.example"):
        headers = [(b"x-hitok-web", b"1"), (b"origin", origin), (b"host", b"10.0.0.1:8888")]
        headers.append((b"cookie", b"__Host-hitok_atoken=abc; other=1"))
        scope = {"type": "http", "path": ME, "scheme": "http", "headers": headers}
        await around(scope, None, None)  # type: ignore[arg-type]
    assert seen == [b"Bearer abc", None]
