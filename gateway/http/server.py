"""One Uvicorn process on all the ports."""

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from typing import Any

import structlog
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from gateway.app import build_app
from gateway.config import GatewaySettings
from gateway.container import open_container
from gateway.files import sendfile
from gateway.http.envelopes import family_of
from gateway.http.errors import ParameterInvalid, failure_of
from gateway.http.middleware import RequestMiddleware
from gateway.ws.protocol import MAX_FRAME_BYTES, SocketProtocol
from services.kit import gc_tuning
from services.kit.config import ConfigError
from services.kit.loop_lag import watch_loop
from services.kit.signals import stop_signal

HEAD_SECONDS = 15.0  # to send a request's line and headers
MAX_HEAD_BYTES = 64 * 1024  # beyond it the connection is closed; edge.py answers 431 long before
MAX_CONNECTIONS = 20_000
GRACE = 15  # seconds for the requests in flight once we stop listening


async def serve(settings: GatewaySettings) -> None:
    """Until SIGTERM or SIGINT; then unready, then no more requests, then gone. Raises ConfigError."""
    sockets = [listen(settings.http_host, port) for port in settings.http_ports]
    stopping = stop_signal()
    watch_loop()
    async with open_container(settings) as container:
        server = server_for(RequestMiddleware(build_app(container), container.sockets), settings)
        gc_tuning.settle()
        serving = asyncio.create_task(server.serve(sockets))
        structlog.get_logger("gateway").info("serving", ports=settings.http_ports)
        stopped = asyncio.create_task(stopping.wait())
        await asyncio.wait((serving, stopped), return_when=asyncio.FIRST_COMPLETED)
        container.draining = True
        server.config.encoded_headers.append((b"connection", b"close"))  # so that no client is on its way when we go
        if not serving.done():
            await asyncio.gather(asyncio.sleep(settings.drain_seconds), container.sockets.drain(settings.drain_seconds))
        server.should_exit = True
        stopped.cancel()
        await serving


def server_for(app: Any, settings: GatewaySettings) -> uvicorn.Server:
    """The server that hitok runs `app` on; bench/ measures its floors on the same."""
    config = uvicorn.Config(
        app,
        loop="none",
        http=_Protocol,
        ws=SocketProtocol,
        ws_max_size=MAX_FRAME_BYTES,
        ws_per_message_deflate=False,
        ws_ping_interval=None,  # the protocol has its own, which a browser's script sees too
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=list(settings.trusted_proxies),
        limit_concurrency=MAX_CONNECTIONS,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=GRACE,
        reset_contextvars=True,  # a request that was pipelined would inherit the caller of the one before
    )
    return _Server(config)


def listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol named, as asyncio's own loop turns Nagle's algorithm off only then: it costs 40 ms an answer.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise ConfigError(f"port {port}: {error.strerror} (HITOK_HTTP_PORTS chooses others)") from None
    return listener


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Ours to handle: draining comes first."""
        yield


class _Protocol(HttpToolsProtocol):
    """Uvicorn's, with a bound on a request's head in bytes and in time; it has neither."""

    _head_bytes = 0
    _head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget_head()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        in_head = self._head_timer is not None
        super().data_received(data)
        if in_head and self._head_timer:  # from its first byte to its last
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES:
                self.transport.abort()

    def on_message_begin(self) -> None:
        self._expect_head()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._forget_head()
        super().on_headers_complete()
        if self.cycle and self.cycle.scope is self.scope:  # no WebSocket
            sendfile.offer(self.cycle)

    def send_400_response(self, msg: str) -> None:
        """For what is no HTTP: our envelope, of the path's family if we got so far."""
        body = family_of(getattr(self, "url", b"").decode("latin-1")).failure(failure_of(ParameterInvalid.reason))
        head = (
            "HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\nx-content-type-options: nosniff\r\n"
            f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()

    def _expect_head(self) -> None:
        self._forget_head()
        self._head_bytes = 0
        self._head_timer = self.loop.call_later(HEAD_SECONDS, self.transport.close)

    def _forget_head(self) -> None:
        if self._head_timer:
            self._head_timer.cancel()
            self._head_timer = None
