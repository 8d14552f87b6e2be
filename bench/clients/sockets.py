"""A chat client that costs little CPU: a WebSocket written by hand, so that the server is what is measured."""

import asyncio
import json
import socket
import time
from collections.abc import Callable
from typing import Any, cast
from urllib.parse import urlsplit

OURS, DIALECT = "/api/chat/ws", "/ws?token=Bearer%20{token}"  # the second speaks dialect A (docs/dialects.md)
HANDSHAKE = (
    "GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\nAuthorization: Bearer {token}\r\n\r\n"
)


class Client(asyncio.Protocol):
    """`on_event` gets the payload of each frame that is neither an answer nor a ping."""

    def __init__(self, host: str, token: str, path: str = OURS) -> None:
        self._host, self.token, self._path = host, token, path
        self._buffer = b""
        self.upgraded = asyncio.Event()
        self._answers: dict[str, asyncio.Future[Any]] = {}
        self._count = 0
        self.on_event: Callable[[bytes], None] = lambda payload: None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.write(
            HANDSHAKE.format(host=self._host, token=self.token, path=self._path.format(token=self.token)).encode()
        )

    def connection_lost(self, exc: Exception | None) -> None:
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(ConnectionError("closed"))
        self.upgraded.set()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self.upgraded.is_set():
            head, found, rest = self._buffer.partition(b"\r\n\r\n")
            if not found:
                return
            assert head.startswith(b"HTTP/1.1 101"), head
            self._buffer = rest
            self.upgraded.set()
        start = 0
        while (end := self._frame_end(start)) > 0:
            payload = self._buffer[end - self._length : end]
            if self._buffer[start] == 0x81:
                self._take(payload)
            elif self._buffer[start] == 0x89:  # a ping of the WebSocket protocol
                self.transport.write(b"\x8a\x80\0\0\0\0")
            start = end
        self._buffer = self._buffer[start:]

    def _frame_end(self, start: int) -> int:
        buffer, at = self._buffer, start + 2
        if len(buffer) < at:
            return 0
        length = buffer[start + 1]
        if length > 125:
            size = 2 if length == 126 else 8
            length, at = int.from_bytes(buffer[at : at + size], "big"), at + size
        self._length = length
        return at + length if len(buffer) >= at + length else 0

    def _take(self, payload: bytes) -> None:
        if self._path != OURS:
            self.on_event(payload)
        elif payload == b'{"type":"ping"}':
            self.write(b'{"type":"pong"}')
        elif b'"id":"' in payload[:40]:
            frame = json.loads(payload)
            answer = self._answers.pop(frame["id"])
            if frame["type"] == "error":
                answer.set_exception(RuntimeError(payload.decode()))
            else:
                answer.set_result(frame["data"])
        else:
            self.on_event(payload)

    def write(self, payload: bytes) -> None:
        """Masks with zeros, which is a valid mask."""
        size = len(payload)
        head = bytes((0x81, 0x80 | size)) if size < 126 else b"\x81\xfe" + size.to_bytes(2, "big")
        self.transport.write(head + b"\0\0\0\0" + payload)

    def ask(self, type: str, **data: Any) -> "asyncio.Future[Any]":
        self._count += 1
        answer = self._answers[str(self._count)] = asyncio.get_running_loop().create_future()
        self.write(json.dumps({"type": type, "id": str(self._count), "data": data}).encode())
        return answer


async def open_client(
    base: str, token: str, line: socket.socket | None = None, path: str = OURS
) -> tuple[Client, float]:
    """Connects, over `line` if it is given, until `ready`. Returns the client and the seconds that it took."""
    parts, loop = urlsplit(base), asyncio.get_running_loop()
    line = line or socket.socket()
    line.setblocking(False)
    started = time.perf_counter()
    await loop.sock_connect(line, (str(parts.hostname), int(parts.port or 80)))
    _, client = await loop.create_connection(lambda: Client(parts.netloc, token, path), sock=line)
    await client.upgraded.wait()
    if path == OURS:
        await client.ask("hello", version=1)
    return client, time.perf_counter() - started
