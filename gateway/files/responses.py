"""Responses with bytes of a file: sent no faster than the client takes them, and ended when it disconnects."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from litestar.response.base import ASGIResponse

from gateway.files.ranges import ByteRange
from gateway.http.errors import ObjectNotFound
from gateway.http.sendfile import SENDFILE

Chunk = bytes | memoryview
RawHeaders = list[tuple[bytes, bytes]]


class HeadersResponse(ASGIResponse):
    """Status and headers, no body."""

    __slots__ = ("raw_headers",)

    def __init__(self, status: int, headers: RawHeaders) -> None:
        self.status_code, self.raw_headers = status, headers

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": b""})


class _BodyResponse(HeadersResponse):
    __slots__ = ()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self._prepare()
        disconnected = asyncio.create_task(_wait_for_disconnect(receive))  # Uvicorn's `send` does not report it
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            await self._send_body(scope, send, disconnected)
            await send({"type": "http.response.body", "body": b""})
        finally:
            disconnected.cancel()

    async def _prepare(self) -> None:
        """Runs before the status is sent, which is too late for an error. Raises ObjectNotFound, Unavailable."""
        raise NotImplementedError

    async def _send_body(self, scope: Any, send: Any, disconnected: asyncio.Task[None]) -> None:
        raise NotImplementedError


class ChunkedResponse(_BodyResponse):
    """Chunks as they are read from wherever the file is."""

    __slots__ = ("_chunks", "_next")

    def __init__(self, chunks: AsyncIterator[Chunk], status: int, headers: RawHeaders) -> None:
        super().__init__(status, headers)
        self._chunks = chunks

    async def _prepare(self) -> None:
        self._next = await anext(self._chunks, b"")

    async def _send_body(self, scope: Any, send: Any, disconnected: asyncio.Task[None]) -> None:
        while self._next and not disconnected.done():
            await send({"type": "http.response.body", "body": self._next, "more_body": True})
            self._next = await anext(self._chunks, b"")


class LocalFileResponse(_BodyResponse):
    """A part of a file on this machine, by sendfile(2); only where the scope has SENDFILE."""

    __slots__ = ("_part", "_path")

    def __init__(self, path: Path, part: ByteRange, status: int, headers: RawHeaders) -> None:
        super().__init__(status, headers)
        self._path, self._part = path, part

    async def _prepare(self) -> None:
        if not await asyncio.to_thread(self._path.exists):
            raise ObjectNotFound

    async def _send_body(self, scope: Any, send: Any, disconnected: asyncio.Task[None]) -> None:
        await scope[SENDFILE](self._path, *self._part, disconnected)


async def _wait_for_disconnect(receive: Any) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
