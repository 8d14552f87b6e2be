"""Uvicorn as the gateway configures it: one process listens on all the ports."""

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from functools import partial
from typing import Any, ClassVar, cast

import uvicorn
from uvicorn.middleware.proxy_headers import _TrustedHosts
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from gateway.config import GatewaySettings
from gateway.http import sendfile
from gateway.http.error_answers import error_answer
from gateway.http.errors import ParameterInvalid, TooManyRequests
from gateway.http.forwarding import ForwardingWatch
from gateway.http.limits.network_bounds import NetworkBound
from gateway.http.overload.accepting import Acceptor
from gateway.http.overload.admission import REFUSED, SLOT, holds_place, leaving, rank_of, refusal_of
from gateway.http.overload.logins import are_refused
from services.kit.config import ConfigError
from services.kit.overload.admission import HERE

HEAD_SECONDS = 15.0  # for a client to send a request's line and headers
MAX_HEAD_BYTES = 64 * 1024  # beyond it the connection is closed; middleware.py answers 431 long before
MAX_CONNECTIONS = 20_000
RETRY_SECONDS = 30.0  # for a network that has enough connections
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
                _Protocol,
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


class _Answered:
    """In place of the cycle of a request on a connection that has had none."""

    response_complete, disconnected, keep_alive = True, False, True
    scope: ClassVar[dict[str, Any]] = {}
    message_event = asyncio.Event()


ANSWERED = _Answered()


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
                await asyncio.wait_for(self.ending.wait(), 1.0)

    def end(self) -> None:
        self.should_exit = True
        self.ending.set()


class _Protocol(HttpToolsProtocol):
    """Uvicorn's protocol with bounds on the size of a request's head, on the time to send it, and on the connections
    of a network.
    """

    _head_bytes = 0
    _head_timer: asyncio.TimerHandle | None = None
    _network = ""

    def __init__(self, bound: NetworkBound, watch: ForwardingWatch, refuses_in_app: bool, **more: Any) -> None:
        """`refuses_in_app`: what is refused for overload passes the application's layers, too."""
        super().__init__(**more)
        self._bound, self._watch, self._refuses_in_app = bound, watch, refuses_in_app

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        network = self._bound.enter(self.client[0] if self.client else "")
        if network is None:
            self._refuse("429 Too Many Requests", TooManyRequests(retry_after=RETRY_SECONDS))
            return
        self._network = network
        self._start_head_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_head_timer()
        self._leave_network()
        super().connection_lost(exc)

    def handle_websocket_upgrade(self) -> None:
        """From here the socket is counted as one (gateway/ws/network_bound.py)."""
        self._leave_network()
        super().handle_websocket_upgrade()

    def _leave_network(self) -> None:
        self._bound.leave(self._network)
        self._network = ""

    def data_received(self, data: bytes) -> None:
        in_head = self._head_timer is not None
        super().data_received(data)
        if in_head and self._head_timer:  # the head had begun and has not ended
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES:
                self.transport.abort()

    def on_message_begin(self) -> None:
        self._start_head_timer()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._stop_head_timer()
        self._watch.look(self.client[0] if self.client else "", self.scope)
        method = self.parser.get_method()
        rank = rank_of(method, self.url)
        # One that waits for another on its connection has no place, nor has a WebSocket.
        counts = rank is not None and (self.cycle is None or self.cycle.response_complete)
        if not counts or self.parser.should_upgrade():
            self._begin()
        elif rank is not None and not are_refused(self.url) and HERE.enter(rank):
            if holds_place(self.url):
                self.scope[SLOT] = True  # type: ignore[literal-required]
            else:
                HERE.leave()
            self._begin()
        elif self._refuses_in_app or method == b"HEAD" or any(name == b"origin" for name, _ in self.headers):
            self.scope[REFUSED] = True  # type: ignore[literal-required]
            self._begin()
        else:
            self._shed(method)

    def _begin(self) -> None:
        super().on_headers_complete()
        if self.cycle and self.cycle.scope is self.scope:  # not a WebSocket
            sendfile.offer(self.cycle)

    def _shed(self, method: bytes) -> None:
        """Refuses without a task. The request's body is read and dropped, as that of any that was answered early."""
        if self.cycle is None:
            self.cycle = cast(Any, ANSWERED)
        keep_alive = self.parser.get_http_version() == "1.1" and self.parser.should_keep_alive()
        self.transport.write(refusal_of(method, self.url, keep_alive))
        if keep_alive:
            self.on_response_complete()
        else:
            self.transport.close()

    def send_400_response(self, msg: str) -> None:
        """Refuses what is not HTTP, in the envelope of the path's family if the path was read."""
        self._refuse("400 Bad Request", ParameterInvalid())

    def _refuse(self, status: str, error: Exception) -> None:
        answer = error_answer(getattr(self, "url", b"").decode("latin-1"), error)
        headers = answer.headers | {"x-content-type-options": "nosniff", "content-length": str(len(answer.body))}
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        head = f"HTTP/1.1 {status}\r\n{lines}connection: close\r\n\r\n"
        self.transport.write(head.encode() + answer.body)
        self.transport.close()

    def _start_head_timer(self) -> None:
        self._stop_head_timer()
        self._head_bytes = 0
        self._head_timer = self.loop.call_later(HEAD_SECONDS, self.transport.close)

    def _stop_head_timer(self) -> None:
        if self._head_timer:
            self._head_timer.cancel()
            self._head_timer = None
