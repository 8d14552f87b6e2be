"""The bytes of a local file by sendfile(2), from the kernel's cache to the client's socket.

They pass neither through Python nor through our memory: a fast reader costs little, and a thousand slow ones hold
nothing. Uvicorn knows no such thing, so this goes round its transport, whose buffer must be empty meanwhile.
"""

import asyncio
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import structlog
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

SENDFILE = "hitok.sendfile"  # in the scope of a request whose connection can do it
BURST = 4 * 1_048_576  # bytes at most before another's turn in the threads
STALL_SECONDS = 60.0  # in which a reader has to take something

log = structlog.get_logger("sendfile")


def offer(cycle: RequestResponseCycle) -> None:
    """To the request of `cycle`."""
    cycle.scope[SENDFILE] = partial(_send, cycle)  # type: ignore[literal-required]


async def _send(cycle: RequestResponseCycle, path: Path, start: int, end: int, gone: "asyncio.Future[None]") -> None:
    """That part of `path`, once the answer's head has been sent. Less of it only if the connection has ended, which
    `gone` tells."""
    await _flush(cycle)
    if gone.done() or cycle.transport.is_closing():
        return
    # Another number for it: an event loop lets only the transport wait on the first.
    socket = os.dup(cycle.transport.get_extra_info("socket").fileno())
    try:
        while start < end and not gone.done():
            sent, full = await _to_its_end(_burst, socket, path, start, min(end, start + BURST))
            start += sent
            cycle.expected_content_length -= sent
            if full:
                await _wait_writable(socket, gone)
    except OSError as error:
        if not isinstance(error, ConnectionError):
            log.warning("not sent whole", error=repr(error))
        cycle.transport.abort()
        await gone
    finally:
        os.close(socket)


async def _flush(cycle: RequestResponseCycle) -> None:
    if not cycle.transport.is_closing():
        cycle.transport.set_write_buffer_limits(0)
        await cycle.flow.drain()
    if not cycle.transport.is_closing():
        cycle.transport.set_write_buffer_limits()


def _burst(socket: int, path: Path, start: int, end: int) -> tuple[int, bool]:
    """How many bytes the socket took, and whether it is full. In a thread: the disk may have to be read."""
    at = start
    with path.open("rb", buffering=0) as file:
        while at < end:
            try:
                sent = os.sendfile(socket, file.fileno(), at, end - at)
            except BlockingIOError:
                return at - start, True
            if not sent:
                raise OSError(f"{path.name} ends at {at}")
            at += sent
    return at - start, False


async def _to_its_end(function: Callable[..., Any], *arguments: Any) -> Any:
    """In a thread; even if it is cancelled, since the socket must not be closed, and its number given away, before."""
    work = asyncio.get_running_loop().run_in_executor(None, function, *arguments)
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        await asyncio.wait([work])
        raise


async def _wait_writable(socket: int, gone: "asyncio.Future[None]") -> None:
    """Raises TimeoutError."""
    loop = asyncio.get_running_loop()
    ready = loop.create_future()
    loop.add_writer(socket, _wake, ready)
    try:
        done, _ = await asyncio.wait((ready, gone), timeout=STALL_SECONDS, return_when=asyncio.FIRST_COMPLETED)
    finally:
        loop.remove_writer(socket)
    if not done:
        raise TimeoutError("the reader takes nothing")


def _wake(ready: "asyncio.Future[None]") -> None:
    if not ready.done():
        ready.set_result(None)
