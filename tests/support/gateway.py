"""The gateway in this process, without a port or on a real one, and a front end to call it."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Self
from unittest.mock import patch

import httpx
from litestar.types import ASGIApp, Receive, Scope, Send

from gateway.app import build_asgi, build_server
from gateway.config import SERVICE, GatewaySettings
from gateway.container import Container, open_container
from services.valkey import client as redis_client
from tests.support.processes import SECRETS, common_settings
from tests.support.servers import Servers

JWT_SECRET = SECRETS["HITOK_JWT_SECRET"]
INTERNAL_SECRET = SECRETS["HITOK_INTERNAL_SECRET"]


@dataclass(frozen=True, slots=True)
class RunningGateway:
    container: Container
    app: ASGIApp
    http: httpx.AsyncClient


NOBODY = "127.0.0.1:1"  # at the default addresses may be the services of a run on this machine
DEFAULTS = {f"HITOK_{service}_TARGET": NOBODY for service in ("USER", "SOCIAL", "MEDIA", "CHAT")}
DEFAULTS["HITOK_RATE_LIMIT_SCALE"] = "0"


def gateway_settings(servers: Servers, **more: str) -> GatewaySettings:
    """Limits off, and no service; name those there are by e.g. HITOK_USER_TARGET=running.target."""
    return common_settings(GatewaySettings, SERVICE, servers, **DEFAULTS | more)


@asynccontextmanager
async def open_patiently(settings: GatewaySettings, valkey_seconds: float = 20.0) -> AsyncIterator[Container]:
    """A busy machine may stop the process for longer than a gateway waits for Valkey before it limits alone."""
    async with AsyncExitStack() as stack:
        with patch.object(redis_client, "TIMEOUT", valkey_seconds):
            container = await stack.enter_async_context(open_container(settings))
        yield container


@asynccontextmanager
async def running_gateway(
    settings: GatewaySettings, ip: str = "127.0.0.1", valkey_seconds: float = 20.0
) -> AsyncIterator[RunningGateway]:
    """Without a port; its `http` calls from `ip`."""
    async with open_patiently(settings, valkey_seconds) as container:
        app = in_own_task(build_asgi(container))
        async with client_of(app, ip) as http:
            yield RunningGateway(container, app, http)


@asynccontextmanager
async def serving_gateway(settings: GatewaySettings) -> AsyncIterator[tuple[Container, str]]:
    """On a free port, by the server that production uses; also gives its base URL."""
    async with open_patiently(settings) as container:
        async with serving(build_asgi(container), settings) as url:
            yield container, url


@asynccontextmanager
async def serving(app: ASGIApp, settings: GatewaySettings) -> AsyncIterator[str]:
    """Serves any application with our server."""
    # The protocol named, as asyncio turns Nagle's algorithm off only then: it costs 40 ms an answer.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    server = build_server(app, settings)
    task = asyncio.create_task(server.serve([listener]))
    while not server.started:  # noqa: ASYNC110 (Uvicorn has no event for it)
        await asyncio.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.end()
        with suppress(asyncio.CancelledError):
            await task


def client_of(app: ASGIApp, ip: str = "127.0.0.1") -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app, client=(ip, 40_000))  # type: ignore[arg-type]
    return httpx.AsyncClient(transport=transport, base_url="http://gateway")


def in_own_task(app: ASGIApp) -> ASGIApp:
    """As under Uvicorn: context set by a request does not leak into the test."""

    async def call(scope: Scope, receive: Receive, send: Send) -> None:
        async def serve() -> None:
            await app(scope, receive, send)

        await asyncio.create_task(serve())

    return call


async def until_it_hears(running: RunningGateway) -> None:
    """Waits until its caches receive the services' events: it connects to NATS in the background."""
    async with asyncio.timeout(30):
        while not running.container.invalidation.subscribed:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


class FrontEnd:
    """One user's client; without a token, a visitor's."""

    def __init__(self, http: httpx.AsyncClient, token: str = "") -> None:
        self.http, self.token = http, token

    def with_token(self, token: str) -> Self:
        return type(self)(self.http, token)

    async def call(self, method: str, path: str, **options: Any) -> httpx.Response:
        """`options` as httpx has them."""
        headers = httpx.Headers(options.pop("headers", None))
        if self.token:
            headers.setdefault("Authorization", f"Bearer {self.token}")
        return await self.http.request(method, path, headers=headers, **options)

    async def ok(self, method: str, path: str, **options: Any) -> Any:
        """The `data` of a short-video answer."""
        response = await self.call(method, path, **options)
        body = response.json()
        assert (response.status_code, set(body)) == (200, {"code", "message", "data"}), (path, response.text)
        assert (body["code"], body["message"]) == (20000, "成功"), (path, body)
        return body["data"]

    async def post(self, path: str, **body: Any) -> Any:
        """As `ok`, with a JSON body."""
        return await self.ok("POST", path, json=body)

    async def get(self, path: str, **query: Any) -> Any:
        """As `ok`, with a query string."""
        return await self.ok("GET", path, params=query)

    async def chat(self, method: str, path: str, **options: Any) -> Any:
        """The `data` of the chat family's user API."""
        response = await self.call(method, path, **options)
        body = response.json()
        assert (response.status_code, set(body)) == (200, {"code", "msg", "data"}), (path, response.text)
        assert (body["code"], body["msg"]) == (200, ""), (path, body)
        return body["data"]

    async def social(self, method: str, path: str, **options: Any) -> Any:
        """The bare object of the chat family's social API."""
        response = await self.call(method, path, **options)
        assert response.status_code == 200, (path, response.status_code, response.text)
        return response.json()

    async def refused(self, method: str, path: str, status: int, code: int, **options: Any) -> httpx.Response:
        """Checks that the answer has this status and code, in the envelope of the path's family."""
        response = await self.call(method, path, **options)
        assert refusal_of(path, response) == (status, code), (path, response.status_code, response.text)
        return response


def refusal_of(path: str, response: httpx.Response) -> tuple[int, int]:
    """Status and code of an error, after a look at its envelope."""
    assert response.headers["content-type"].startswith("application/json"), response.headers
    body = json.loads(response.content)
    if is_chat_path(path):
        assert set(body) == {"code", "msg", "data"}, body
        assert body["data"] is None, body
        text = body["msg"]
    else:
        assert set(body) == {"code", "message", "data"}, body
        assert body["data"] == {}, body
        text = body["message"]
    assert text
    assert isinstance(text, str)
    assert len(text) < 30, f"this is no text of the table: {text}"
    return response.status_code, body["code"]


def is_chat_path(path: str) -> bool:
    """Whether the path is one of the second document's, known or not."""
    return path.startswith(("/api/v1/user", "/api/v2/user", "/v1/", "/v/", "/friend/"))
