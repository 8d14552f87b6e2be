"""The processes of the sandbox (processing/sandbox/), each used once.

Those that work for a moment are forked by a process that has loaded their libraries
(docs/adr/0067-short-work-is-forked.md). The others, and all if there is no such process, are programs of their own.
"""

import asyncio
import json
import math
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from signal import SIGPROF, SIGXCPU
from typing import Any

import structlog

from services.media.files.children import fork_server
from services.media.files.children.fork_server import ForkedProcess
from services.media.files.children.fork_servers import ForkServers, keeping

ROOT = Path(__file__).parents[4]
ENVIRONMENT = {"PYTHONDONTWRITEBYTECODE": "1"}  # without our secrets
OUT_OF_TIME = (-SIGPROF, -SIGXCPU)  # ended by limits.allow_cpu, or by its limit
TICKS = os.sysconf("SC_CLK_TCK")  # per second of CPU time
TICK = 0.02  # seconds between two looks at it
BEHIND = 5  # niceness, that of the conversions
MAX_ANSWER = 16_777_216  # bytes
SHORT_PROFILES = ("cover", "variant")  # conversions that work for a moment
ONCE = "report"  # asked for at the start: a process that forks would stay for ten minutes after it, with 23 MB
log = structlog.get_logger("children")
_servers: list[ForkServers] = []  # of the services in this process; the last one is used

Process = asyncio.subprocess.Process | ForkedProcess


class Child:
    """A program of the sandbox that has been started."""

    def __init__(self, name: str, process: Process, output: asyncio.StreamReader, pipe: asyncio.ReadTransport) -> None:
        self._name, self._process, self._pipe, self._started_at = name, process, pipe, time.monotonic()
        self._output = asyncio.create_task(self._finish(output))

    async def ends_within(self, cpu_seconds: float, seconds: float) -> bool:
        """Lets it work until it ends, has used so much CPU time, or has taken so many seconds."""
        while time.monotonic() < self._started_at + seconds and (left := cpu_seconds - self._cpu_seconds()) > 0:
            await asyncio.wait({self._output}, timeout=max(left, TICK))
            if self._output.done():
                return True
        return self._output.done()

    async def answer(self, seconds: float) -> dict[str, Any]:
        """Its answer, at most so many seconds after its start. A child that dies or hangs means a broken file."""
        process = self._process
        try:
            async with asyncio.timeout_at(asyncio.get_running_loop().time() + self._left(seconds)):
                answer: dict[str, Any] = json.loads(await asyncio.shield(self._output))
            return answer
        except (TimeoutError, ValueError) as error:
            log.info("child gave up", child=self._name, code=process.returncode, error=repr(error)[:100])
            code = "BROKEN" if isinstance(error, TimeoutError) or process.returncode in OUT_OF_TIME else "KILLED"
            took = time.monotonic() - self._started_at
            return {"refused": code, "detail": "takes too long or too much to read", "took": took}

    def _left(self, seconds: float) -> float:
        return self._started_at + seconds - time.monotonic()

    def go_behind(self, niceness: int = BEHIND) -> None:
        """Lets other processes go first, from now on."""
        with suppress(ProcessLookupError, FileNotFoundError):  # it has ended
            for thread in Path(f"/proc/{self._process.pid}/task").iterdir():
                if os.getpriority(os.PRIO_PROCESS, int(thread.name)) < niceness:
                    os.setpriority(os.PRIO_PROCESS, int(thread.name), niceness)

    def _cpu_seconds(self) -> float:
        """What it has used; no end of it once it has ended."""
        try:
            fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return math.inf
        return (int(fields[11]) + int(fields[12])) / TICKS  # utime and stime, proc_pid_stat(5)

    async def end(self) -> None:
        """Kills it, if it runs."""
        if self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.kill()
        self._output.cancel()
        await asyncio.wait({self._output})
        await self._process.wait()
        self._pipe.close()

    async def _finish(self, output: asyncio.StreamReader) -> bytes:
        """Waits for its end. Raises ValueError if it writes too much."""
        try:
            await output.readexactly(MAX_ANSWER + 1)
        except asyncio.IncompleteReadError as error:
            await self._process.wait()
            return error.partial
        raise ValueError("a long answer")


@asynccontextmanager
async def forking() -> AsyncIterator[None]:
    """Forks children that work for a moment, while the block runs."""
    async with keeping(lambda: fork_server.start(ROOT, ENVIRONMENT)) as servers:
        _servers.append(servers)
        try:
            yield
        finally:
            _servers.remove(servers)


async def start_child(name: str, request: dict[str, Any]) -> Child:
    """Starts the program `name`. Call `end` in any case."""
    answers, output = os.pipe()
    reader, pipe = await _open(answers)
    nothing = os.open(os.devnull, os.O_RDONLY)
    try:
        process: Process | None = None
        if _servers and name != ONCE and (name != "conversion" or request["profile"] in SHORT_PROFILES):
            process = await _servers[-1].fork(name, request, [nothing, output])
        if process is None:
            process = await _start_program(name, request, nothing, output)
    except BaseException:
        pipe.close()
        raise
    finally:
        os.close(output)
        os.close(nothing)
    return Child(name, process, reader, pipe)


async def _start_program(name: str, request: dict[str, Any], nothing: int, output: int) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", f"services.media.processing.sandbox.{name}", json.dumps(request)),
        cwd=ROOT,
        env=ENVIRONMENT,
        stdin=nothing,
        stdout=output,
        stderr=subprocess.DEVNULL,
    )


async def _open(answers: int) -> tuple[asyncio.StreamReader, asyncio.ReadTransport]:
    reader = asyncio.StreamReader()
    protocol = asyncio.StreamReaderProtocol(reader)
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, os.fdopen(answers, "rb", 0))
    return reader, transport


@asynccontextmanager
async def started(name: str, request: dict[str, Any]) -> AsyncIterator[Child]:
    """A child for the length of the block."""
    child = await start_child(name, request)
    try:
        yield child
    finally:
        await child.end()


async def run_child(name: str, request: dict[str, Any], seconds: float) -> dict[str, Any]:
    """The answer of the program `name` to the request."""
    async with started(name, request) as child:
        return await child.answer(seconds)
