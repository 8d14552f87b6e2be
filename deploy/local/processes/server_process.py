"""A server from a wheel, as a process of a run."""

import asyncio
from typing import ClassVar

from deploy.local.processes.process import Display, Process, describe
from deploy.local.servers.server import NotReady, Server


class ServerProcess(Process):
    longest_pause: ClassVar[float] = 2.0  # it ends when its disk is full, and is to be back soon after that

    def __init__(self, server: Server, display: Display) -> None:
        super().__init__(server.name, (), server.log, display, stops_first=server.stops_first)
        self.server = server
        self._start: asyncio.Future[Server] | None = None

    @property
    def pid(self) -> int | None:
        return self.server.pid

    @property
    def exit_code(self) -> int | None:
        return self.server.exit_code

    async def launch(self) -> None:
        # A thread cannot be cancelled. `stop` waits for it, so that nothing starts after the end.
        self._start = asyncio.ensure_future(asyncio.to_thread(self.server.start))
        await asyncio.shield(self._start)
        self.ports = (self.server.port,)

    async def is_healthy(self) -> bool:
        try:
            await asyncio.to_thread(self.server.probe)
        except (NotReady, OSError):
            return False
        return True

    def explain_exit(self) -> str:
        return f"{self.name} ended ({describe(self.exit_code)}); its log is {self.log}"

    async def stop(self) -> None:
        if self._start:
            await asyncio.gather(self._start, return_exceptions=True)
            await asyncio.to_thread(self.server.stop)
        self.change("stopped")

    def kill(self) -> None:
        self.server.kill()
