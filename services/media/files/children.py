"""The processes of the sandbox (processing/sandbox/), each used once."""

import asyncio
import json
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import structlog

ROOT = Path(__file__).parents[3]
ENVIRONMENT = {"PYTHONDONTWRITEBYTECODE": "1"}  # without our secrets
OUT_OF_TIME = (-signal.SIGPROF, -signal.SIGXCPU)  # ended by limits.allow_cpu, or by its limit
log = structlog.get_logger("children")


class Child:
    """A program of the sandbox that has been started. It may have loaded its libraries before it is asked to begin."""

    def __init__(self, name: str, process: asyncio.subprocess.Process, begin: int) -> None:
        self._name, self._process, self._begin = name, process, begin

    async def answer(self, seconds: float) -> dict[str, Any]:
        """Its answer, once it has begun. A child that dies or hangs means a broken file."""
        process = self._process
        try:
            with suppress(BrokenPipeError):
                os.write(self._begin, b"\n")
            output, _ = await asyncio.wait_for(process.communicate(), seconds)
            answer: dict[str, Any] = json.loads(output)
            return answer
        except (TimeoutError, ValueError) as error:
            log.info("child gave up", child=self._name, code=process.returncode, error=repr(error)[:100])
            code = "BROKEN" if isinstance(error, TimeoutError) or process.returncode in OUT_OF_TIME else "KILLED"
            return {"refused": code, "detail": "takes too long or too much to read"}

    async def end(self) -> None:
        """Kills it, if it runs."""
        os.close(self._begin)
        if self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.kill()
            await self._process.communicate()


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


async def run_child(name: str, request: dict[str, Any], seconds: float) -> dict[str, Any]:
    """The answer of the program `name` to the request."""
    child = await start_child(name, request)
    try:
        return await child.answer(seconds)
    finally:
        await child.end()
