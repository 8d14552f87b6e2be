"""The way to a server, which can be cut in the middle of what is sent."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

PIECE = 4_096


class Link:
    def __init__(self, target: int) -> None:
        self.port, self.is_cut, self._target = 0, False, target
        self._left: int | None = None
        self._open: set[asyncio.StreamWriter] = set()

    def cut_after(self, size: int) -> None:
        """Once so many more bytes have passed, in either direction."""
        self._left = size

    def restore(self) -> None:
        self.is_cut, self._left = False, None

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.is_cut:
            writer.transport.abort()
            return
        to_reader, to_writer = await asyncio.open_connection("127.0.0.1", self._target)
        self._open |= {writer, to_writer}
        with suppress(OSError):
            await asyncio.gather(self._pump(reader, to_writer), self._pump(to_reader, writer))
        for each in (writer, to_writer):
            self._open.discard(each)
            each.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(PIECE):
            if self._left is not None and (left := self._left - len(data)) <= 0:
                self._cut()
                return
            if self._left is not None:
                self._left = left
            writer.write(data)
            await writer.drain()
        writer.close()

    def _cut(self) -> None:
        self.is_cut, self._left = True, None
        for each in self._open:
            each.transport.abort()


@asynccontextmanager
async def linked(target: int) -> AsyncIterator[Link]:
    """To that port of this machine."""
    link = Link(target)
    async with await asyncio.start_server(link.carry, "127.0.0.1", 0) as server:
        link.port = server.sockets[0].getsockname()[1]
        yield link
