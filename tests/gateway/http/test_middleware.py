"""What every request passes: its id, its line in the log, its measurement, its headers."""

import re
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import structlog
from prometheus_client import REGISTRY, generate_latest

from gateway.config import GatewaySettings
from gateway.http.origins import is_allowed
from services.kit import log
from services.kit.context import current_request_id
from tests.gateway.people import Person, by_email
from tests.support.gateway import FrontEnd, RunningGateway, gateway_settings, running_gateway
from tests.support.servers import Servers
from tests.support.user import PASSWORD, Running

ME = "/api/user/get-my-info"
EVERYWHERE = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
}
ORIGIN = {"Origin": "https://app.example.com"}
PREFLIGHT = ORIGIN | {
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "authorization,content-type",
}


@pytest.fixture(scope="module")
async def alice(gateway: RunningGateway, user: Running) -> Person:
    return await by_email(gateway.http, user)


@pytest.fixture
def logged() -> Any:
    with structlog.testing.capture_logs(processors=[log.add_context]) as events:
        yield events


def lines_of(logged: list[Any]) -> list[Any]:
    return [event for event in logged if event["event"] == "request"]


async def test_a_probe_that_is_content_is_no_news(visitor: FrontEnd, logged: list[Any]) -> None:
    for path in ("/health/live", "/health/ready", "/metrics"):
        status = (await visitor.call("GET", path)).status_code
        assert lines_of(logged)[-1]["log_level"] == ("debug" if status == 200 else "info")


@pytest.mark.parametrize("given", ["abc", "0a9f-_.Z", "x" * 64])
async def test_a_request_id_comes_back_as_it_was_given(visitor: FrontEnd, given: str) -> None:
    response = await visitor.call("GET", ME, headers={"X-Request-Id": given})
    assert response.headers.get_list("x-request-id") == [given]


@pytest.mark.parametrize("given", ["", " ", "x" * 65, "a b", "a\tb", "é", "<script>", 'a"b', "a;b"])
async def test_an_unfit_request_id_is_replaced(visitor: FrontEnd, given: str) -> None:
    response = await visitor.call("GET", ME, headers={b"X-Request-Id": given.encode("latin-1")})
    assert re.fullmatch("[0-9a-f]{16}", response.headers["x-request-id"])


async def test_each_request_has_an_id_of_its_own(visitor: FrontEnd) -> None:
    ids = {(await visitor.call("GET", ME)).headers["x-request-id"] for _ in range(20)}
    assert len(ids) == 20
    assert current_request_id.get() not in ids, "it is not left behind"


async def test_a_request_is_logged_once_with_route_status_time_and_user(alice: Person, logged: list[Any]) -> None:
    await alice.call("GET", "/api/user/get-user-info?id=1&secret=x", headers={"X-Request-Id": "this-one"})

    (line,) = lines_of(logged)
    expected = {
        "method": "GET",
        "route": "/api/user/get-user-info",
        "status": 404,
        "user_id": int(alice.id),
        "ip": "127.0.0.1",
        "request_id": "this-one",
        "log_level": "info",
    }
    assert {key: line[key] for key in expected} == expected
    assert 0 < line["ms"] < 3_000


async def test_the_services_log_the_same_request_id(visitor: FrontEnd, logged: list[Any]) -> None:
    body = {"email": "nobody@example.com", "password": PASSWORD}
    await visitor.call("POST", "/api/login/login", json=body, headers={"X-Request-Id": "far"})

    served = [event for event in logged if event.get("rpc") == "/hitok.user.v1.Accounts/LoginByEmail"]
    assert [(event["request_id"], event["reason"]) for event in served] == [("far", "CREDENTIALS_WRONG")]


@pytest.mark.parametrize(
    ("method", "path", "route", "status"),
    [
        ("GET", "/nowhere/<script>", "unmatched", 404),
        ("DELETE", "/api/login/login", "unmatched", 405),
        ("GET", ME, ME, 401),
        ("POST", "/api/login/login", "/api/login/login", 400),
    ],
)
async def test_a_refused_request_is_logged_and_measured_by_its_route(
    visitor: FrontEnd, logged: list[Any], method: str, path: str, route: str, status: int
) -> None:
    labels = {"route": route, "method": method, "status": str(status)}
    before = REGISTRY.get_sample_value("hitok_http_seconds_count", labels) or 0

    await visitor.call(method, path)

    (line,) = lines_of(logged)
    assert (line["route"], line["status"], line["user_id"]) == (route, status, 0)
    assert REGISTRY.get_sample_value("hitok_http_seconds_count", labels) == before + 1


@pytest.mark.parametrize(
    ("path", "route"),
    [(path, path) for path in ("/health/live", "/health/ready", "/metrics", "/docs", "/openapi.json")]
    + [("/docs/nothing.js", "/docs/{name}")],
)
async def test_probes_scrapes_and_docs_are_not_measured(
    visitor: FrontEnd, logged: list[Any], path: str, route: str
) -> None:
    await visitor.call("GET", path)
    assert lines_of(logged)[-1]["route"] == route
    assert f'route="{route}"' not in generate_latest().decode()


async def test_no_secret_is_logged_or_measured(visitor: FrontEnd, user: Running, logged: list[Any]) -> None:
    alice = await by_email(visitor.http, user)
    secrets = ["s3cr3t-passw0rd", "one-more-s3cr3t", "654321", alice.token]
    bodies: list[tuple[str, dict[str, Any]]] = [
        ("/api/login/login", {"email": alice.email, "password": secrets[0]}),
        ("/api/login/register", {"email": alice.email, "code": "654321", "password": secrets[0], "username": "x y"}),
        ("/api/login/reset-password", {"email": alice.email, "code": "654321", "password": secrets[0]}),
        ("/api/login/refresh-token", {"rtoken": alice.token}),
        ("/api/user/change-password", {"old_password": secrets[0], "new_password": secrets[1]}),
        ("/api/user/delete-account", {"password": [secrets[0]]}),
        (f"/api/user/delete-account?password={secrets[0]}", {}),
        ("/api/v1/user/login", {"phone": "17512345678", "password": secrets[0]}),
        (f"/{alice.token}", {}),
    ]
    for path, body in bodies:
        await alice.call("POST", path, json=body)
        await visitor.call("POST", path, json=body, headers={"Authorization": f"Bearer {alice.token}x"})
    await visitor.call("GET", f"/api/nowhere/{alice.token}", content=b'{"password": "s3cr3t-passw0rd"')
    metrics = await visitor.call("GET", "/metrics")

    assert len(lines_of(logged)) == 2 * len(bodies) + 2
    for secret in secrets:
        assert secret not in repr(logged)
        assert secret not in metrics.text


@pytest.mark.parametrize("path", [ME, "/nowhere", "/v1/social/nowhere", "/health/live", "/metrics", "/openapi.json"])
async def test_every_answer_has_the_security_headers(alice: Person, path: str) -> None:
    response = await alice.call("GET", path)
    assert {name: response.headers.get(name) for name in EVERYWHERE} == EVERYWHERE
    assert "server" not in response.headers


async def test_no_header_comes_twice(alice: Person) -> None:
    for path in (ME, "/nowhere", "/docs", "/docs/start.js", "/metrics", "/health/ready", "/docs/swagger-ui-bundle.js"):
        names = [name.lower() for name, _ in (await alice.call("GET", path)).headers.raw]
        assert len(names) == len(set(names)), path


@pytest.mark.parametrize(
    "headers",
    [
        [("X-Long", "x" * 17_000)],
        [(f"X-{number}", "x" * 100) for number in range(200)],
        [("X-Same", "x" * 100)] * 200,
        [("Cookie", "x" * 9_000), ("Authorization", "x" * 9_000)],
    ],
    ids=["one", "many", "the same again", "two"],
)
async def test_headers_of_more_than_16_kilobytes_are_refused(
    visitor: FrontEnd, headers: list[tuple[str, str]], logged: list[Any]
) -> None:
    for path, code in ((ME, 10038), ("/v1/social/friends", 100002)):
        response = await visitor.refused("GET", path, 431, code, headers=headers)
        assert response.headers["x-content-type-options"] == "nosniff"
    assert [line["status"] for line in lines_of(logged)] == [431, 431]


async def test_by_default_no_browser_of_another_origin_is_let_in(visitor: FrontEnd) -> None:
    for method, headers in (("GET", ORIGIN), ("OPTIONS", PREFLIGHT)):
        response = await visitor.call(method, "/api/login/login", headers=headers)
        assert not [name for name in response.headers if name.startswith("access-control-")]


@pytest.fixture(scope="module")
async def open_front(servers: Servers, user: Running) -> AsyncIterator[FrontEnd]:
    settings = gateway_settings(
        servers, HITOK_USER_TARGET=user.target, HITOK_CORS_ORIGINS="https://app.example.com,https://other.example.com"
    )
    async with running_gateway(settings) as running:
        yield FrontEnd(running.http)


async def test_an_origin_named_in_the_settings_is_let_in(open_front: FrontEnd) -> None:
    preflight = await open_front.call("OPTIONS", "/api/login/login", headers=PREFLIGHT)
    answer = await open_front.call("POST", "/api/login/login", headers=ORIGIN, json={})
    failure = await open_front.call("GET", "/nowhere", headers=ORIGIN)

    assert preflight.status_code in (200, 204)
    assert "POST" in preflight.headers["access-control-allow-methods"]
    assert "authorization" in preflight.headers["access-control-allow-headers"].lower()
    for response in (preflight, answer, failure):
        assert response.headers["access-control-allow-origin"] == "https://app.example.com", response.request.url
        assert response.headers["access-control-allow-credentials"] == "true"
    exposed = answer.headers["access-control-expose-headers"].lower()
    assert "retry-after" in exposed
    assert "x-request-id" in exposed


async def test_any_other_origin_is_not(open_front: FrontEnd) -> None:
    for origin in ("https://evil.example.com", "https://app.example.com.evil.com", "null", "http://app.example.com"):
        for method, extra in (("OPTIONS", PREFLIGHT), ("POST", {})):
            headers = extra | {"Origin": origin}
            response = await open_front.call(method, "/api/login/login", headers=headers)
            assert "access-control-allow-origin" not in response.headers, (origin, method)


async def allowed(settings: GatewaySettings, origin: str, headers: str = "authorization") -> tuple[str, str]:
    """The origin that a preflight is told, and whether with credentials; "" for what is missing."""
    async with running_gateway(settings) as running:
        preflight = PREFLIGHT | {"Origin": origin, "Access-Control-Request-Headers": headers}
        found = (await running.http.options("/api/login/login", headers=preflight)).headers
        simple = (await running.http.get("/nowhere", headers={"Origin": origin})).headers
    if headers == "authorization":
        assert simple.get("access-control-allow-origin") == found.get("access-control-allow-origin")
    return found.get("access-control-allow-origin", ""), found.get("access-control-allow-credentials", "")


async def test_any_origin_is_let_in_without_credentials(servers: Servers) -> None:
    settings = gateway_settings(servers, HITOK_CORS_ORIGINS="*,https://app.example.com")
    assert await allowed(settings, "https://evil.example.com") == ("*", "")
    assert await allowed(settings, "https://app.example.com") == ("*", "")


LOCAL = ["http://localhost:5173", "http://127.0.0.1:3000", "https://localhost", "http://[::1]:8080"]
NOT_LOCAL = [
    "http://localhost.evil.com",
    "http://localhost:80.evil.com",
    "http://127.0.0.1.evil.com",
    "null",
    "file://",
]


async def test_loopback_is_every_origin_on_this_machine(servers: Servers) -> None:
    settings = gateway_settings(servers, HITOK_CORS_ORIGINS="loopback,https://app.example.com")
    for origin in (*LOCAL, "https://app.example.com"):
        assert await allowed(settings, origin) == (origin, "true")
        assert is_allowed(origin, settings.cors_origins), "sockets have the same rule"
    for origin in (*NOT_LOCAL, "loopback", "https://app_example.com"):
        assert await allowed(settings, origin) == ("", "")
        assert not is_allowed(origin, settings.cors_origins) or origin == "loopback"


async def test_headers_of_a_front_end_of_its_own(servers: Servers) -> None:
    origin = "https://app.example.com"
    plain = gateway_settings(servers, HITOK_CORS_ORIGINS=origin)
    named = gateway_settings(servers, HITOK_CORS_ORIGINS=origin, HITOK_CORS_HEADERS="X-App,x-b3")
    every = gateway_settings(servers, HITOK_CORS_ORIGINS=origin, HITOK_CORS_HEADERS="*")
    assert await allowed(plain, origin, "x-app") == ("", "")
    assert await allowed(named, origin, "x-app,x-b3,authorization,upload-offset") == (origin, "true")
    assert await allowed(named, origin, "x-other") == ("", "")
    assert await allowed(every, origin, "x-other") == (origin, "true")


async def test_a_client_that_goes_away_is_no_error_of_ours(gateway: RunningGateway, logged: list[Any]) -> None:
    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        pass

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/api/login/login",
        "raw_path": b"/api/login/login",
        "query_string": b"",
        "root_path": "",
        "scheme": "http",
        "http_version": "1.1",
        "headers": [(b"content-length", b"10"), (b"content-type", b"application/json")],
        "client": ("127.0.0.1", 1),
        "server": ("gateway", 80),
    }
    await gateway.app(scope, receive, send)  # type: ignore[arg-type]

    assert [event for event in logged if event["log_level"] == "error"] == []
    assert len(lines_of(logged)) == 1


def test_httpx_sends_what_we_think(gateway: RunningGateway) -> None:
    """The rows above with the same header again would test nothing if they were joined."""
    request = gateway.http.build_request("GET", "/", headers=[("X-Same", "a")] * 3)
    assert [name for name, _ in request.headers.raw].count(b"X-Same") == 3
    assert isinstance(gateway.http, httpx.AsyncClient)


async def test_a_preflight_that_asks_for_too_much_is_told_what(open_front: FrontEnd) -> None:
    asked = {
        "origin": {"Origin": "https://evil.example.com"},
        "access-control-request-method": {"Access-Control-Request-Method": "TRACE"},
        "access-control-request-headers": {"Access-Control-Request-Headers": "x-other"},
    }
    for field, header in asked.items():
        response = await open_front.call("OPTIONS", "/api/login/login", headers=PREFLIGHT | header)
        assert (response.status_code, response.headers["x-error"]) == (403, f"NOT_PERMITTED {field}")
        assert response.json()["code"] == -20008


async def test_a_cache_never_answers_one_origin_with_what_another_got(open_front: FrontEnd) -> None:
    """Also not with the answer to a request without any; the route's own `Vary` stays beside ours."""
    missing = "/media/" + "0" * 64 + ".mp4"
    for headers in ({}, ORIGIN):
        response = await open_front.call("GET", missing, headers=headers)
        assert response.headers["vary"] == "origin"
