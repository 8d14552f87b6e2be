"""Uvicorn as the gateway configures it: one process listens on all the ports."""

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from functools import partial
from typing import Any, cast

import uvicorn
from uvicorn.middleware.proxy_headers import _TrustedHosts

from gateway.config import GatewaySettings
from gateway.http.forwarding import ForwardingWatch
from gateway.http.limits.network_bounds import NetworkBound
from gateway.http.overload.accepting import Acceptor
from gateway.http.overload.admission import leaving
from gateway.http.protocol import Protocol
from services.kit import background
from services.kit.config import ConfigError

MAX_CONNECTIONS = 20_000
GRACE = 15  # seconds for the requests in flight once we stop listening


def server_for(
    app: Any, settings: GatewaySettings, websockets: type[asyncio.Protocol], max_frame_bytes: int
) -> "GatewayServer":
    """The server that runs `app` in production, in the tests and in bench/.

    `websockets`: the protocol of a connection that was upgraded. `max_frame_bytes`: of a client's frame.
    """
    proxies = settings.trusted_proxies
    watch = ForwardingWatch(_TrustedHosts(list(proxies)))  # as the middleware that reads the header judges
    config = uvicorn.Config(
        leaving(app),
        loop="none",
        http=cast(
            Any,
            partial(
                Protocol,
                NetworkBound("connection", settings.network_connections, proxies),
                watch,
                refuses_in_app=bool(settings.compat),
            ),
        ),
        ws=websockets,
        ws_max_size=max_frame_bytes,
        ws_per_message_deflate=False,
        ws_ping_interval=None,  # the chat protocol has its own heartbeat, which scripts in a browser see too
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=bool(proxies),
        forwarded_allow_ips=list(proxies),
        limit_concurrency=MAX_CONNECTIONS,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=GRACE,
        reset_contextvars=True,  # else a pipelined request would inherit the caller of the one before
    )
    return GatewayServer(config)


def listen(host: str, port: int, *, shared: bool = False) -> socket.socket:
    """`shared`: by other processes of this user; the kernel spreads the connections. Raises ConfigError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With the protocol given, asyncio's own loop turns Nagle's algorithm off, which costs 40 ms per answer.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if shared:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise ConfigError(f"port {port}: {error.strerror} (HITOK_HTTP_PORTS chooses others)") from None
    return listener


class GatewayServer(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ending = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """The gateway handles signals itself, because draining comes first."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=[])
        protocol: Any = self.config.http_protocol_class
        make = partial(
            protocol,
            config=self.config,
            server_state=self.server_state,
            app_state=self.lifespan.state,
        )
        self.servers += cast(Any, [Acceptor(listener, make) for listener in sockets or []])

    async def main_loop(self) -> None:
        """Renews the date in the answers' heads each second. Uvicorn looks ten times a second whether to end."""
        while not await self.on_tick(0):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.ending.wait(), background.until(1.0))

    def end(self) -> None:
        self.should_exit = True
        self.ending.set()
