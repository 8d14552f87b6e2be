"""Uvicorn's WebSocket protocol, with what ASGI has no words for: writing without waiting, and giving up.

A frame that goes to a thousand sockets is built once and handed to each transport as it is; through ASGI
each of them would build its own, in a coroutine of its own.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from litestar.types import Scope
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

MAX_FRAME_BYTES = 64 * 1024  # of a client's; a larger one closes the socket with 1009
CLOSE_SECONDS = 3.0  # for the other side to answer a close, before the connection is cut
WIRE = "hitok.wire"  # in the scope's extensions

_log = logging.getLogger("gateway.ws")
_log.setLevel(logging.WARNING)


class Wire(WebSocketsSansIOProtocol):
    """`on_writable` is called when a transport that was full takes more again."""

    on_writable: Callable[[], None] | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Uvicorn's own lines name the path with its query: a ticket is in there.
        self.logger = self.conn.logger = _log
        self.conn.debug = False

    async def run_asgi(self) -> None:
        # Neither the scope nor, below, the parser keeps in a circle what is gone: the collector's pauses are long here.
        self.scope["extensions"][WIRE] = self  # type: ignore[assignment]
        try:
            await super().run_asgi()
        finally:
            del self.scope["extensions"][WIRE]

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self.conn.parser.close()

    @property
    def is_full(self) -> bool:
        return not self.writable.is_set()

    @property
    def waiting_bytes(self) -> int:
        """Not yet taken by the kernel."""
        return self.transport.get_write_buffer_size()

    def write(self, frame: bytes) -> None:
        """A whole frame, as text_frame makes it; dropped once the socket is closing."""
        if not (self.close_sent or self.transport.is_closing()):
            self.transport.write(frame)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self.on_writable:
            self.on_writable()

    def close(self, code: int, reason: str) -> None:
        """Says so, ends the application's `receive`, and cuts the connection if nobody answers.

        Unlike ASGI's close this waits for nothing: it is also for those who do not read.
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


def wire_of(scope: Scope) -> Wire:
    wire: Any = (scope.get("extensions") or {}).get(WIRE)
    assert isinstance(wire, Wire), "the gateway's sockets run on the gateway's own server (server.py)"
    return wire


def text_frame(payload: bytes) -> bytes:
    """A server's text frame (RFC 6455, 5.2): unmasked, so the same for every receiver."""
    size = len(payload)
    if size < 126:
        return b"\x81" + bytes((size,)) + payload
    if size < 65_536:
        return b"\x81\x7e" + size.to_bytes(2, "big") + payload
    return b"\x81\x7f" + size.to_bytes(8, "big") + payload
