"""What each layer of the gateway costs a request: get-my-info with warm caches, of 16 connections at once, in this
process and without sockets.

The layers are put around each other one by one, so a layer costs the difference to the line before. CPU time of this
process, the least of several rounds in turns. The whole way, with sockets and the kernel, is in `bench.routes`.
"""

import asyncio
import json
import os
import sys
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import msgspec
import uvicorn
from litestar import Litestar, get
from litestar.datastructures import State
from litestar.response.base import ASGIResponse
from litestar.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from bench import report
from bench.clients.load import build_request
from bench.servers.stack import register, running_stack
from gateway.api.shortvideo import users
from gateway.app import build_asgi, build_server
from gateway.config import SERVICE, GatewaySettings
from gateway.container import Container, open_container
from gateway.http.endpoint import JsonResponse
from gateway.http.middleware import RequestMiddleware
from gateway.http.overload.admission import refusing
from services.kit import log
from services.kit.config import load

REQUESTS, ROUNDS = 3_200, 7
CONNECTIONS = 16  # each with a request at the same time
PATH = "/api/user/get-my-info"


class Transport(asyncio.Transport):
    """Takes what is written to it. `ended` is called with each last part of an answer."""

    def __init__(self) -> None:
        super().__init__({"peername": ("127.0.0.1", 1), "sockname": ("127.0.0.1", 2)})
        self.written = b""
        self.answered: asyncio.Future[None] | None = None

    def write(self, data: Any) -> None:
        self.written += data
        head, _, body = self.written.partition(b"\r\n\r\n")
        if self.answered and len(body) >= int(head.partition(b"content-length: ")[2].partition(b"\r")[0] or 1 << 60):
            self.answered.set_result(None)
            self.answered = None

    def is_closing(self) -> bool:
        return False

    def close(self) -> None:
        pass


async def measure() -> None:
    with running_stack() as (base, folder):
        _, token = register(base, folder)
        environ = json.loads((folder / "settings" / f"{SERVICE}.json").read_bytes())
        request = build_request(base + PATH, {"Authorization": f"Bearer {token}"})
        settings = load(GatewaySettings, SERVICE, environ)
        async with AsyncExitStack() as stack:
            limited = await stack.enter_async_context(
                open_container(msgspec.structs.replace(settings, rate_limit_scale=1e6))
            )
            free = await stack.enter_async_context(open_container(settings))
            layers = _layers(settings, free, limited)
            best = await _best_of_rounds(settings, layers, request)
    before = 0.0
    for name, cost in best.items():
        report.row(name, f"{cost:.1f} µs", f"{cost - before:+.1f}")
        before = cost


def _layers(settings: GatewaySettings, free: Container, limited: Container) -> dict[str, Callable[[], Any]]:
    body = msgspec.json.encode({"code": 20000, "message": "ok", "data": {"hello": "world" * 40}})

    async def bare(scope: Any, receive: Any, send: Any) -> None:
        await JsonResponse(body)(scope, receive, send)

    @get(PATH)
    async def routed() -> ASGIResponse:
        return JsonResponse(body)

    def litestar(*handlers: Any, container: Any = None) -> Litestar:
        return Litestar(handlers, openapi_config=None, logging_config=None, state=State({"container": container}))

    def ours(app: ASGIApp) -> Any:
        server = build_server(app, settings)
        server.config.load()
        return server.config

    def plain() -> Any:
        config = uvicorn.Config(
            bare, http=HttpToolsProtocol, log_config=None, access_log=False, lifespan="off", proxy_headers=False
        )
        config.load()
        return config

    return {
        "uvicorn, a bare application": plain,
        "our protocol: bounds of heads and networks, admission": lambda: ours(bare),
        "request id, log line, metrics, headers": lambda: ours(RequestMiddleware(bare, bare, ())),
        "litestar, 1 route": lambda: ours(RequestMiddleware(refusing(litestar(routed)), bare, ())),
        "endpoint: token, verdict, deadline, presence, profile, encoding": lambda: ours(
            RequestMiddleware(refusing(litestar(users.get_my_info, container=free)), bare, ())
        ),
        "all routes, session cookies": lambda: ours(build_asgi(free)),
        "rate limit in Valkey": lambda: ours(build_asgi(limited)),
    }


def _log_nowhere(settings: GatewaySettings) -> None:
    """As JSON lines, which are written, but to no file."""
    sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115
    log.configure(msgspec.structs.replace(settings, log_format="json"), SERVICE)


async def _best_of_rounds(
    settings: GatewaySettings, layers: dict[str, Callable[[], Any]], request: bytes
) -> dict[str, float]:
    _log_nowhere(settings)
    configs = {name: make() for name, make in layers.items()}
    best = dict.fromkeys(layers, float("inf"))
    for _ in range(ROUNDS):
        for name, config in configs.items():
            best[name] = min(best[name], await _cost(config, request))
    return best


async def _cost(config: Any, request: bytes) -> float:
    """Microseconds of CPU for a request."""
    loop = asyncio.get_running_loop()
    connections = [_connect(config) for _ in range(CONNECTIONS)]

    async def ask_all() -> None:
        answers = []
        for protocol, transport in connections:
            transport.written, transport.answered = b"", loop.create_future()
            answers.append(transport.answered)
            protocol.data_received(request)
        for answer in answers:
            await answer

    await ask_all()
    assert all(b" 200 " in transport.written for _, transport in connections), connections[0][1].written
    began = time.process_time()
    for _ in range(REQUESTS // CONNECTIONS):
        await ask_all()
    spent = time.process_time() - began
    for protocol, _ in connections:
        protocol.connection_lost(None)
    return spent / (REQUESTS // CONNECTIONS * CONNECTIONS) * 1e6


def _connect(config: Any) -> tuple[Any, Transport]:
    transport = Transport()
    protocol = config.http_protocol_class(config=config, server_state=ServerState(), app_state={})
    protocol.connection_made(transport)
    return protocol, transport
