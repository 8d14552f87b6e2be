"""The service's end of a process that forks children (processing/sandbox/fork_server.py)."""

import asyncio
import json
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

import structlog
from prometheus_client import Counter

MODULE = "services.media.processing.sandbox.fork_server"
MESSAGE = 65_536  # bytes
FORK_SECONDS, END_SECONDS = 5.0, 5.0  # for a child to be made, and for one that is killed to end
CHILDREN = 1_000  # of one server: all share its places of code and stack in memory, which nobody is to learn by trying
CRASHES = (signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGABRT, signal.SIGFPE, signal.SIGTRAP, signal.SIGSYS)
ENDED = Counter("hitok_media_fork_servers_ended", "Ends of processes that fork children", ["reason"])
for reason in ("died", "stuck", "replaced", "idle"):
    ENDED.labels(reason)
log = structlog.get_logger("fork_server")


class ForkedProcess:
    """What Child needs of an asyncio.subprocess.Process, of a process that a server made."""

    def __init__(self, server: "ForkServer", number: int) -> None:
        self._server, self._number = server, number
        self.pid = 0
        self.returncode: int | None = None
        self.made: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._ended = asyncio.Event()

    def kill(self) -> None:
        self._server.kill(self._number)

    async def wait(self) -> int | None:
        await self._ended.wait()
        return self.returncode

    def make(self, process: int) -> None:
        """`process`: its id; 0 if it was not made."""
        self.pid = process
        if not self.made.done():
            self.made.set_result(bool(process))

    def end(self, code: int) -> None:
        self.returncode = code
        self._ended.set()
        self.make(self.pid)


class ForkServer:
    """One such process. It is worn once another should take its place."""

    def __init__(self, process: asyncio.subprocess.Process, channel: socket.socket) -> None:
        self.process, self._channel = process, channel
        self._children: dict[int, ForkedProcess] = {}
        self._numbers = count(1)
        self._ready = asyncio.Event()
        self._reason = ""
        self.is_open, self.is_worn = True, False
        asyncio.get_running_loop().add_reader(channel, self._hear)
        self._watching = asyncio.create_task(self._watch())

    async def ready(self, seconds: float) -> None:
        """Raises TimeoutError, ConnectionError."""
        await asyncio.wait_for(self._ready.wait(), seconds)
        if not self.is_open:
            raise ConnectionError("it ended")

    async def fork(self, program: str, request: dict[str, Any], descriptors: list[int]) -> ForkedProcess | None:
        """A child with these two descriptors as standard input and output; None if it makes none."""
        number = next(self._numbers)
        child = ForkedProcess(self, number)
        if not self._send({"number": number, "program": program, "request": request}, descriptors):
            return None
        self._children[number] = child
        self.is_worn |= number >= CHILDREN
        try:
            return child if await asyncio.wait_for(asyncio.shield(child.made), FORK_SECONDS) else None
        except TimeoutError:
            self._give_up()
            return None
        except BaseException:
            child.kill()
            raise

    def kill(self, number: int) -> None:
        """The server does it, which knows whether the process id is still that of the child."""
        if number in self._children:
            self._send({"kill": True, "number": number})
            asyncio.get_running_loop().call_later(END_SECONDS, self._require_end, number)

    def retire(self) -> None:
        """It ends once its children have."""
        self._reason = self._reason or "replaced"
        if not self._children:
            self.close()

    async def end(self) -> None:
        """Its children end with it."""
        self._reason = self._reason or "closed"
        self.close()
        await asyncio.wait({self._watching}, timeout=END_SECONDS)
        self._kill()
        await self._watching

    def close(self) -> None:
        if self.is_open:
            self.is_open = False
            asyncio.get_running_loop().remove_reader(self._channel)
            self._channel.close()
            self._ready.set()
            for child in self._children.values():
                child.end(-signal.SIGKILL)
            self._children.clear()

    async def _watch(self) -> None:
        code = await self.process.wait()
        self.close()
        reason = self._reason or ("died" if code else "idle")
        if reason != "closed":
            ENDED.labels(reason).inc()
        (log.warning if reason in ("died", "stuck") else log.info)("fork server ended", reason=reason, code=code)

    def _send(self, values: Mapping[str, Any], descriptors: list[int] | None = None) -> bool:
        try:
            socket.send_fds(self._channel, [json.dumps(values).encode()], descriptors or [])
        except OSError:  # it has ended, or takes nothing
            return False
        return True

    def _hear(self) -> None:
        with suppress(BlockingIOError):
            while self.is_open:
                try:
                    text = self._channel.recv(MESSAGE)
                except ConnectionError:
                    text = b""
                if not text:
                    self.close()
                elif (told := json.loads(text)).get("ready"):
                    self._ready.set()
                else:
                    self._take(**told)

    def _take(self, number: int, process: int = 0, code: int | None = None) -> None:
        """A child was made, was not made, or ended."""
        child = self._children[number]
        if code is None:
            child.make(process)
        else:
            child.end(code)
            self.is_worn |= -code in CRASHES
        if not process:
            del self._children[number]
            if self._reason == "replaced" and not self._children:
                self.close()

    def _require_end(self, number: int) -> None:
        if number in self._children:
            self._give_up()

    def _give_up(self) -> None:
        self._reason = "stuck"
        self._kill()
        self.close()

    def _kill(self) -> None:
        with suppress(ProcessLookupError):
            self.process.kill()


async def start(root: Path, environment: Mapping[str, str], module: str = MODULE) -> ForkServer:
    """Starts a server, which is ready once it has loaded its libraries."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        ours.setblocking(False)
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", module),
            cwd=root,
            env=dict(environment),
            stdin=theirs.fileno(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    except BaseException:
        ours.close()
        raise
    finally:
        theirs.close()
    return ForkServer(process, ours)
