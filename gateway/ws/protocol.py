"""Uvicorn's WebSocket protocol, extended by two things that ASGI cannot express: writing without waiting, and
closing a connection whose client does not answer.

A frame for a thousand sockets is built once and written to each transport as it is. Through ASGI each socket
would build its own copy, in a coroutine of its own. docs/adr/0026 gives the reasons.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from litestar.types import Scope
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame

from gateway.http.error_answers import ErrorAnswer
from gateway.ws.inbox import Flag, Inbox

MAX_FRAME_BYTES = 64 * 1024  # of a client's frame; a larger one closes the socket with 1009
CLOSE_SECONDS = 3.0  # for the client to answer a close frame, before the connection is cut
EXTENSION = "hitok.protocol"  # the key in the scope's extensions

_log = logging.getLogger("gateway.ws")
_log.setLevel(logging.WARNING)


class SocketProtocol(WebSocketsSansIOProtocol):
    """`on_writable` is called when a transport that was full accepts data again, `on_pong` when the client answers a
    ping of the WebSocket protocol.
    """

    on_writable: Callable[[], None] | None = None
    on_pong: Callable[[], None] | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.queue, self.writable = Inbox(), Flag()  # type: ignore[assignment]
        # Uvicorn logs the path with its query, which holds the ticket.
        self.logger = self.conn.logger = _log
        self.conn.debug = False

    async def run_asgi(self) -> None:
        # The entry is deleted at the end, and connection_lost closes the parser, so that no reference cycle keeps a
        # closed socket in memory: a gateway with many sockets has long garbage collections.
        self.scope["extensions"][EXTENSION] = self  # type: ignore[assignment]
        try:
            await super().run_asgi()
        finally:
            del self.scope["extensions"][EXTENSION]

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self.conn.parser.close()

    def forget_handshake(self) -> None:
        """Drops the headers of request and response, and with them the token, once nothing reads them any more."""
        self.request.headers.clear()
        self.response.headers.clear()
        self.scope["headers"] = []

    @property
    def is_full(self) -> bool:
        return not self.writable.is_set()

    @property
    def buffered_bytes(self) -> int:
        """Written, but not yet accepted by the kernel."""
        return self.transport.get_write_buffer_size()

    def write(self, frame: bytes) -> None:
        """Writes a whole frame, as text_frame builds it; drops it once the socket is closing."""
        if not (self.close_sent or self.transport.is_closing()):
            self.transport.write(frame)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self.on_writable:
            self.on_writable()

    def refuse(self, answer: ErrorAnswer) -> None:
        """Answers the handshake with an HTTP error."""
        response = self.conn.reject(answer.status, "")
        response.body = answer.body
        del response.headers["content-type"], response.headers["content-length"]
        response.headers.update(answer.headers | {"content-length": str(len(answer.body))})
        self.conn.send_response(response)
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = self.handshake_complete = True
        self.transport.close()

    def handle_pong(self, event: Frame) -> None:
        if self.on_pong:
            self.on_pong()

    def close(self, code: int, reason: str) -> None:
        """Sends a close frame, ends the application's `receive`, and cuts the connection if no answer comes in time.

        Unlike ASGI's close it waits for nothing, so it also closes a client that does not read.
        """
        if self.close_sent or self.transport.is_closing():
            return
        self.queue.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})
        self.conn.send_close(code, reason)
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        if self.read_paused:
            self.read_paused = False
            self.transport.resume_reading()
        self.close_timer = asyncio.get_running_loop().call_later(CLOSE_SECONDS, self.transport.abort)


def protocol_of(scope: Scope) -> SocketProtocol:
    protocol: Any = (scope.get("extensions") or {}).get(EXTENSION)
    assert isinstance(protocol, SocketProtocol), "the gateway's sockets need the gateway's own server"
    return protocol


def text_frame(payload: bytes) -> bytes:
    """A server's text frame (RFC 6455, section 5.2). It is unmasked, so every receiver gets the same bytes."""
    size = len(payload)
    if size < 126:
        return b"\x81" + bytes((size,)) + payload
    if size < 65_536:
        return b"\x81\x7e" + size.to_bytes(2, "big") + payload
    return b"\x81\x7f" + size.to_bytes(8, "big") + payload
