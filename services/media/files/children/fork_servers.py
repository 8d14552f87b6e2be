"""Keeps a process that forks children, one after another.

It starts when the first child is asked for, is replaced when it is worn, and started again when it died. Who asks while
there is none gets none, and starts a child of its own.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import structlog
from prometheus_client import Counter

from services.kit import background
from services.media.files.children.fork_server import ForkedProcess, ForkServer

READY_SECONDS, WAIT_SECONDS = 30.0, 2.0  # for its libraries, and for who asks while it loads them
PAUSE = 5.0  # seconds after one that could not be started
FORKED = Counter("hitok_media_forks", "Children of the sandbox that were to be forked", ["outcome"])
for outcome in ("made", "missed"):
    FORKED.labels(outcome)
log = structlog.get_logger("fork_server")


class ForkServers:
    def __init__(self, start: Callable[[], Awaitable[ForkServer]]) -> None:
        self._start = start
        self._server: ForkServer | None = None
        self._started: set[ForkServer] = set()
        self._needed, self._tried = asyncio.Event(), asyncio.Event()
        self._is_failing = False

    async def fork(self, program: str, request: dict[str, Any], descriptors: list[int]) -> ForkedProcess | None:
        """See ForkServer.fork."""
        server = await self._usable()
        child = await server.fork(program, request, descriptors) if server else None
        FORKED.labels("made" if child else "missed").inc()
        return child

    async def _usable(self) -> ForkServer | None:
        if not self._has_one() or (self._server and self._server.is_worn):
            self._needed.set()
        if not self._has_one() and not self._is_failing:
            self._tried.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._tried.wait(), WAIT_SECONDS)
        return self._server if self._has_one() else None

    def _has_one(self) -> bool:
        return self._server is not None and self._server.is_open

    async def keep(self) -> None:
        while True:
            await self.wait()
            await self._replace()
            self._needed.clear()

    async def wait(self) -> None:
        """Until one is needed."""
        await self._needed.wait()

    async def _replace(self) -> None:
        server = None
        try:
            server = await self._start()
            self._started = {each for each in self._started if each.process.returncode is None} | {server}
            await server.ready(READY_SECONDS)
        except (OSError, TimeoutError) as error:
            log.warning("fork server does not start", error=repr(error)[:200])
            self._is_failing = True
            self._tried.set()
            if server:
                await server.end()
            await asyncio.sleep(PAUSE)
            return
        if self._server:
            self._server.retire()
        self._server, self._is_failing = server, False
        self._tried.set()

    async def end(self) -> None:
        for server in self._started:
            await server.end()


@asynccontextmanager
async def keeping(start: Callable[[], Awaitable[ForkServer]]) -> AsyncIterator[ForkServers]:
    """Ends all of them when the block ends."""
    servers = ForkServers(start)
    try:
        async with background.run(keep_fork_server=servers.keep):
            yield servers
    finally:
        await servers.end()
