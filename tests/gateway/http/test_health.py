"""Health, metrics, and the API page, all of whose parts we serve ourselves."""

import asyncio
import hashlib
import json
import re
import threading

import pytest
from prometheus_client import REGISTRY, Gauge

from gateway.config import GatewaySettings
from gateway.docs.page import ASSETS, SWAGGER_UI
from tests.support.gateway import FrontEnd, RunningGateway, gateway_settings, running_gateway
from tests.support.servers import Servers
from tests.support.user import Running

DOCS = ["/docs", "/docs/zh", "/docs/errors", "/docs/start.js", *(f"/docs/{name}" for name in ASSETS)]
# What makes a browser load something: attributes of elements, and url() and @import in style sheets.
LOADS_IN_HTML = re.compile(r"""(?:src|href|action|data|poster|srcset)\s*=\s*["']?([^"'\s>]+)""")
LOADS_IN_CSS = re.compile(r"""url\(\s*["']?([^"')]+)|@import\s+["']([^"']+)""")


async def test_the_process_lives(visitor: FrontEnd) -> None:
    response = await visitor.call("GET", "/health/live")
    assert (response.status_code, response.json()) == (200, {"status": "live"})


async def test_it_is_ready_after_the_first_contact_and_until_it_drains(servers: Servers, user: Running) -> None:
    # Any gRPC server will do as one of the others.
    targets = {f"HITOK_{name.upper()}": user.target for name in GatewaySettings.__struct_fields__ if "target" in name}
    async with running_gateway(gateway_settings(servers, **targets)) as running:
        front = FrontEnd(running.http)
        for _ in range(200):
            response = await front.call("GET", "/health/ready")
            if response.status_code == 200:
                break
            await asyncio.sleep(0.01)
        assert (response.status_code, response.json()) == (200, {"status": "ready"})

        running.container.draining = True
        response = await front.call("GET", "/health/ready")
        assert (response.status_code, response.json()) == (503, {"status": "draining"})
        assert (await front.call("GET", "/health/live")).status_code == 200


async def test_it_is_not_ready_before_the_first_contact(servers: Servers) -> None:
    """And it starts without any of the servers."""
    away = {"REDIS_URL": "redis://127.0.0.1:1/0", "NATS_URL": "nats://127.0.0.1:1", "USER_TARGET": "127.0.0.1:1"}
    settings = gateway_settings(servers, **{f"HITOK_{name}": value for name, value in away.items()})
    async with running_gateway(settings) as running:
        front = FrontEnd(running.http)
        response = await front.call("GET", "/health/ready")
        assert (response.status_code, response.json()) == (
            503,
            {"status": "starting", "waiting_for": ["user", "social", "media", "chat"]},
        )
        assert (await front.call("GET", "/health/live")).status_code == 200
        assert (await front.call("GET", "/docs")).status_code == 200
        await front.refused("POST", "/api/login/login", 503, 60007, json={"email": "a@b.cd", "password": "123456"})


async def test_a_scrape_holds_up_no_request(visitor: FrontEnd) -> None:
    """On a gateway with all its routes in use it takes tenths of a second."""
    writer = Gauge("test_thread", "Which one writes the metrics")
    writer.set_function(threading.get_ident)
    try:
        text = (await visitor.call("GET", "/metrics")).text
    finally:
        REGISTRY.unregister(writer)
    (line,) = re.findall(r"^test_thread (.+)$", text, re.MULTILINE)
    assert float(line) != float(threading.get_ident())


async def test_metrics_are_shown_by_route(visitor: FrontEnd) -> None:
    await visitor.call("GET", "/api/user/get-my-info")
    response = await visitor.call("GET", "/metrics")

    assert response.headers["content-type"].startswith("text/plain")
    row = 'hitok_http_seconds_count{method="GET",route="/api/user/get-my-info",status="401"}'
    assert row in response.text
    for name in ("hitok_rpc_called_seconds_bucket", "process_resident_memory_bytes"):
        assert name in response.text


@pytest.mark.parametrize("path", DOCS)
async def test_each_part_of_the_api_page_comes_from_us(visitor: FrontEnd, path: str) -> None:
    response = await visitor.call("GET", path)

    assert response.status_code == 200
    kinds = {
        "/docs": "text/html",
        "/docs/zh": "text/html",
        "/docs/errors": "text/html",
        "js": "text/javascript",
        "css": "text/css",
    }
    assert response.headers["content-type"].startswith(kinds[path.rpartition(".")[2]])
    assert len(response.content) > 50
    loads = LOADS_IN_CSS if path.endswith("css") else LOADS_IN_HTML
    found = [part for match in loads.findall(response.text) for part in ([match] if isinstance(match, str) else match)]
    if path.endswith(".js"):
        return
    outside = [part for part in found if part and not part.startswith(("/docs", "data:", "#"))]
    assert outside == []


def test_swagger_ui_is_what_its_checksums_say() -> None:
    sums = [line.split() for line in (SWAGGER_UI / "SHA256SUMS").read_text().splitlines()]
    assert {name for _, name in sums} == set(ASSETS)
    for expected, name in sums:
        assert hashlib.sha256((SWAGGER_UI / name).read_bytes()).hexdigest() == expected, name


async def test_what_the_page_names_is_there(visitor: FrontEnd) -> None:
    pages = "".join([(await visitor.call("GET", path)).text for path in ("/docs", "/docs/zh", "/docs/errors")])
    intro = json.loads((await visitor.call("GET", "/openapi.json")).content)["info"]["description"]
    named = {*LOADS_IN_HTML.findall(pages), *re.findall(r'data-openapi="([^"]+)"', pages)}
    named |= set(re.findall(r"\]\((/[^)]+)\)", intro))

    assert named >= {"/docs/start.js", "/openapi.json", "/openapi.zh.json", "/docs/errors", "/asyncapi.yaml"}
    for path in named:
        assert path.startswith("/")
        assert (await visitor.call("GET", path)).status_code == 200, path


async def test_the_page_asks_no_validator_on_another_host(visitor: FrontEnd) -> None:
    """Swagger UI shows a badge from validator.swagger.io unless told not to."""
    assert "validatorUrl: null" in (await visitor.call("GET", "/docs/start.js")).text


async def test_the_browser_would_refuse_what_is_not_ours(visitor: FrontEnd) -> None:
    policy = (await visitor.call("GET", "/docs")).headers["content-security-policy"]
    directives = dict(part.strip().split(" ", 1) for part in policy.split(";"))
    assert directives["default-src"] == "'self'"
    assert directives["frame-ancestors"] == "'none'"
    assert "http" not in policy
    assert "unsafe-eval" not in policy
    assert "'unsafe-inline'" not in directives.get("script-src", "")


async def test_assets_may_be_cached_and_the_rest_not(visitor: FrontEnd) -> None:
    for path in DOCS:
        cached = (await visitor.call("GET", path)).headers["cache-control"]
        assert cached == ("public, max-age=86400" if path.removeprefix("/docs/") in ASSETS else "no-store"), path


@pytest.mark.parametrize(
    "name",
    [
        "nothing.js",
        "..%2f..%2fgateway%2foperations.py",
        "..",
        "swagger-ui-bundle.js%00",
        "SWAGGER-UI.CSS",
        "package.json",
    ],
)
async def test_no_other_file_is_served(gateway: RunningGateway, visitor: FrontEnd, name: str) -> None:
    await visitor.refused("GET", f"/docs/{name}", 404, 10022)


async def test_metrics_move_to_a_port_of_their_own(servers: Servers) -> None:
    async with running_gateway(gateway_settings(servers, HITOK_GATEWAY_METRICS_PORT="18155")) as running:
        assert (await running.http.get("/metrics")).status_code == 404
    async with running_gateway(gateway_settings(servers)) as running:
        assert (await running.http.get("/metrics")).status_code == 200
