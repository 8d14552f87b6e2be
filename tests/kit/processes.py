"""`python -m services.user` as its operator runs it."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import grpc.aio
from grpc_health.v1.health_pb2 import HealthCheckRequest
from grpc_health.v1.health_pb2_grpc import HealthStub

from services.kit.rpc.channel import open_channel
from services.user.config import UserSettings
from services.user.servicers import PROTOS
from tests.support.user import environment


class Process:
    def __init__(self, process: asyncio.subprocess.Process, settings: UserSettings) -> None:
        self._process, self._settings = process, settings
        self.output = ""
        self._reading = asyncio.create_task(self._read())
        self.send_signal = process.send_signal

    async def _read(self) -> None:
        assert self._process.stderr
        async for line in self._process.stderr:
            self.output += line.decode()

    async def prints(self, text: str) -> None:
        async with asyncio.timeout(40):
            while text not in self.output:
                assert self._process.returncode is None, self.output
                await asyncio.sleep(0.02)

    async def exit_code(self) -> int:
        code = await asyncio.wait_for(self._process.wait(), 40)
        await self._reading
        return code

    async def refuses(self) -> str:
        """The one line with which the process refused to start."""
        assert await self.exit_code() == 2, self.output
        assert "Traceback" not in self.output
        *logs, last = self.output.splitlines()
        assert all(line.startswith("{") and '"level":"error"' not in line for line in logs)
        return last

    def channel(self) -> grpc.aio.Channel:
        return open_channel(f"127.0.0.1:{self._settings.grpc_port}", self._settings, PROTOS)

    async def health(self, channel: grpc.aio.Channel, of: str = "") -> int:
        return int((await HealthStub(channel).Check(HealthCheckRequest(service=of), timeout=2)).status)


@asynccontextmanager
async def running(settings: UserSettings, **changes: str | None) -> AsyncIterator[Process]:
    environ = {**environment(settings), **{f"HITOK_{name}": value for name, value in changes.items()}}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "services.user",
        env={name: value for name, value in environ.items() if value is not None},
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield Process(process, settings)
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
