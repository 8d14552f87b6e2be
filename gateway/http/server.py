"""Uvicorn as the gateway configures it: one process listens on all the ports."""

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from email.utils import formatdate
from functools import partial
from time import time
from typing import Any, cast

import uvicorn
from uvicorn.middleware.proxy_headers import _TrustedHosts
from uvicorn.server import ServerState

from gateway.config import GatewaySettings
from gateway.http.forwarding import ForwardingWatch
from gateway.http.limits.network_bounds import NetworkBound
from gateway.http.overload.accepting import Acceptor
from gateway.http.overload.admission import leaving
from gateway.http.protocol import Protocol
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


class DatedState(ServerState):
    """Renews the date in the answers' heads when an answer begins: an idle gateway does not wake for it."""

    def __init__(self, config: uvicorn.Config) -> None:
        self._config, self._second = config, 0
        self._headers: list[tuple[bytes, bytes]] = []
        super().__init__()

    @property
    def default_headers(self) -> list[tuple[bytes, bytes]]:
        if (second := int(time())) != self._second:
            date = formatdate(second, usegmt=True).encode()
            self._second, self._headers = second, [(b"date", date), *self._config.encoded_headers]
        return self._headers

    @default_headers.setter
    def default_headers(self, _: list[tuple[bytes, bytes]]) -> None:
        """Uvicorn begins with an empty list."""


class GatewayServer(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.server_state = DatedState(config)
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
        """Waits for the end. Uvicorn's own looks for it ten times a second, and renews the date."""
        await self.ending.wait()

    def end(self) -> None:
        self.should_exit = True
        self.ending.set()
