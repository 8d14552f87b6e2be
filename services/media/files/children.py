"""The processes of the sandbox (processing/sandbox/), each used once."""

import asyncio
import json
import math
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import structlog

ROOT = Path(__file__).parents[3]
ENVIRONMENT = {"PYTHONDONTWRITEBYTECODE": "1"}  # without our secrets
OUT_OF_TIME = (-signal.SIGPROF, -signal.SIGXCPU)  # ended by limits.allow_cpu, or by its limit
TICKS = os.sysconf("SC_CLK_TCK")  # per second of CPU time
TICK = 0.02  # seconds between two looks at it
BEHIND = 5  # niceness, that of the conversions
log = structlog.get_logger("children")


class Child:
    """A program of the sandbox that has been started. It may have loaded its libraries before it is asked to begin."""

    def __init__(self, name: str, process: asyncio.subprocess.Process, begin: int) -> None:
        self._name, self._process, self._begin = name, process, begin
        self._output: asyncio.Task[tuple[bytes, bytes]] | None = None
        self._begun_at = 0.0

    async def ends_within(self, cpu_seconds: float, seconds: float) -> bool:
        """Lets it work until it ends, has used so much CPU time since it was started, or has taken so many seconds."""
        output = self._begun()
        while time.monotonic() < self._begun_at + seconds and (left := cpu_seconds - self._cpu_seconds()) > 0:
            await asyncio.wait({output}, timeout=max(left, TICK))
        return output.done()

    async def answer(self, seconds: float) -> dict[str, Any]:
        """Its answer, at most so many seconds after it has begun. A child that dies or hangs means a broken file."""
        process, output = self._process, self._begun()
        try:
            text, _ = await asyncio.wait_for(output, self._begun_at + seconds - time.monotonic())
            answer: dict[str, Any] = json.loads(text)
            return answer
        except (TimeoutError, ValueError) as error:
            log.info("child gave up", child=self._name, code=process.returncode, error=repr(error)[:100])
            code = "BROKEN" if isinstance(error, TimeoutError) or process.returncode in OUT_OF_TIME else "KILLED"
            took = time.monotonic() - self._begun_at
            return {"refused": code, "detail": "takes too long or too much to read", "took": took}

    def go_behind(self) -> None:
        """Lets other processes go first, from now on."""
        with suppress(ProcessLookupError, FileNotFoundError):  # it has ended
            for thread in Path(f"/proc/{self._process.pid}/task").iterdir():
                if os.getpriority(os.PRIO_PROCESS, int(thread.name)) < BEHIND:
                    os.setpriority(os.PRIO_PROCESS, int(thread.name), BEHIND)

    def _begun(self) -> asyncio.Task[tuple[bytes, bytes]]:
        if self._output is None:
            with suppress(BrokenPipeError):
                os.write(self._begin, b"\n")
            self._begun_at = time.monotonic()
            self._output = asyncio.create_task(self._process.communicate())
        return self._output

    def _cpu_seconds(self) -> float:
        """What it has used; no end of it once it has ended."""
        try:
            fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return math.inf
        return (int(fields[11]) + int(fields[12])) / TICKS  # utime and stime, proc_pid_stat(5)

    async def end(self) -> None:
        """Kills it, if it runs."""
        os.close(self._begin)
        if self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.kill()
        if self._output is None or self._output.cancelled():
            await self._process.communicate()
        else:
            await asyncio.wait({self._output})


async def start_child(name: str, request: dict[str, Any]) -> Child:
    """Starts the program `name`. Call `end` in any case."""
    waits, begin = os.pipe()
    try:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            f"services.media.processing.sandbox.{name}",
            json.dumps(request),
            cwd=ROOT,
            env=ENVIRONMENT,
            stdin=waits,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
    except BaseException:
        os.close(begin)
        raise
    finally:
        os.close(waits)
    return Child(name, process, begin)


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
