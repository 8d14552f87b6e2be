"""Accepts connections as fast as they come.

libuv accepts one connection per turn of the event loop. A turn of a busy gateway takes tenths of a second, so new
clients would wait for seconds, or be dropped by a full queue of the kernel, before they could even be refused.
"""

import asyncio
import socket
from collections.abc import Callable

import structlog

from services.kit.log import ThrottledWarning

MOST = 256  # connections accepted in one turn; the rest comes in the next
BACKLOG = 4_096  # connections that wait in the kernel
PAUSE = 0.5  # seconds, when there is no file descriptor or memory for another connection

log = structlog.get_logger("http")


class Acceptor:
    """Accepts from a bound socket, and gives each connection a protocol. It stands for an asyncio.Server in Uvicorn."""

    def __init__(self, listener: socket.socket, make_protocol: Callable[[], asyncio.Protocol]) -> None:
        self._listener, self._make_protocol = listener, make_protocol
        self._loop = asyncio.get_running_loop()
        self._opening = set[asyncio.Task[object]]()
        self._waits = ThrottledWarning(log, "no connection can be accepted")
        self._pause: asyncio.TimerHandle | None = None
        listener.setblocking(False)
        listener.listen(BACKLOG)
        self._begin()

    def close(self) -> None:
        self._loop.remove_reader(self._listener)
        if self._pause:
            self._pause.cancel()

    async def wait_closed(self) -> None:
        if self._opening:
            await asyncio.wait(self._opening)

    def _begin(self) -> None:
        self._pause = None
        self._loop.add_reader(self._listener, self._accept)

    def _accept(self) -> None:
        try:
            for _ in range(MOST):
                self._open(self._listener.accept()[0])
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            pass
        except OSError as error:
            self._waits(error)
            self._loop.remove_reader(self._listener)
            self._pause = self._loop.call_later(PAUSE, self._begin)

    def _open(self, connection: socket.socket) -> None:
        task = self._loop.create_task(self._loop.connect_accepted_socket(self._make_protocol, connection))
        self._opening.add(task)
        task.add_done_callback(self._opened)

    def _opened(self, task: asyncio.Task[object]) -> None:
        self._opening.discard(task)
        if not task.cancelled():
            task.exception()  # of a client that is gone already
