"""A TCP proxy that delays, swallows and cuts connections."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

CHUNK, PIECE = 65_536, 4_096


class Proxy:
    """To `port` here. `delay`: up to so many seconds before each piece is passed on. While `swallowing` nothing is,
    for good: the connections that lose something are cut when it ends. While `away`, nobody can connect."""

    def __init__(self, port: int, dice: random.Random) -> None:
        self._target, self._dice = port, dice
        self.port, self.delay, self.swallowing, self.away = 0, 0.0, False, False
        self._left: int | None = None
        self._lines: set[asyncio.StreamWriter] = set()
        self._robbed: set[asyncio.StreamWriter] = set()

    def cut(self) -> None:
        for writer in tuple(self._lines):
            writer.transport.abort()

    def cut_after(self, size: int) -> None:
        """Once so many more bytes have passed, in either direction: then it is away."""
        self._left = size

    def restore(self) -> None:
        self.away, self._left = False, None

    async def swallow(self, seconds: float) -> None:
        self.swallowing = True
        await asyncio.sleep(seconds)
        self.swallowing = False
        for writer in self._robbed:
            writer.transport.abort()
        self._robbed.clear()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.away:
            writer.transport.abort()
            return
        try:
            to_reader, to_writer = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
            return
        pair = (writer, to_writer)
        self._lines.update(pair)
        await asyncio.gather(self._pass(reader, to_writer, pair), self._pass(to_reader, writer, pair))
        for one in pair:
            one.transport.abort()
        self._lines.difference_update(pair)
        self._robbed.difference_update(pair)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, pair: tuple[object, ...]) -> None:
        with suppress(OSError):
            while data := await reader.read(CHUNK if self._left is None else PIECE):
                if self._ends_with(data):
                    break
                if self.swallowing:
                    self._robbed.update(each for each in pair if isinstance(each, asyncio.StreamWriter))
                    continue
                if self.delay:
                    await asyncio.sleep(self._dice.random() * self.delay)
                writer.write(data)
                await writer.drain()
        writer.transport.abort()

    def _ends_with(self, data: bytes) -> bool:
        """Whether this is more than may pass."""
        if self._left is None:
            return False
        self._left -= len(data)
        if self._left > 0:
            return False
        self.away, self._left = True, None
        self.cut()
        return True


@asynccontextmanager
async def proxy_to(port: int, dice: random.Random) -> AsyncIterator[Proxy]:
    proxy = Proxy(port, dice)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        proxy.cut()
        await asyncio.sleep(0)  # what was cut ends
