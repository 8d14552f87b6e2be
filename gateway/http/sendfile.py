"""Sends the bytes of a local file by sendfile(2), from the kernel's cache to the client's socket.

The bytes pass neither through Python nor through our memory: a fast client costs little CPU, a thousand slow ones no
memory. Uvicorn has no interface for this, so it bypasses Uvicorn's transport, whose buffer must be empty meanwhile
(docs/adr/0011-local-files-go-round-uvicorn.md).
"""

import asyncio
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import structlog
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

SENDFILE = "hitok.sendfile"  # key in the scope of a request whose connection supports it
BURST = 4 * 1_048_576  # bytes sent by one job of the thread pool, so that every client gets its turn
STALL_SECONDS = 60.0  # the client is cut off after so long without taking a byte

log = structlog.get_logger("sendfile")


def offer(cycle: RequestResponseCycle) -> None:
    """Puts SENDFILE into the scope of the request of `cycle`."""
    cycle.scope[SENDFILE] = partial(_send, cycle)  # type: ignore[literal-required]


async def _send(cycle: RequestResponseCycle, path: Path, start: int, end: int, gone: "asyncio.Future[None]") -> None:
    """Sends the bytes from `start` to `end` of `path`, after the head of the response was sent.

    `gone` is done when the client has disconnected; only then fewer bytes are sent.
    """
    await _flush(cycle)
    if gone.done() or cycle.transport.is_closing():
        return
    # A duplicate, because the event loop lets only the transport wait for the original descriptor.
    socket = os.dup(cycle.transport.get_extra_info("socket").fileno())
    try:
        while start < end and not gone.done():
            sent, full = await _run_to_its_end(_burst, socket, path, start, min(end, start + BURST))
            start += sent
            cycle.expected_content_length -= sent
            if full:
                await _wait_writable(socket, gone)
    except OSError as error:
        if not isinstance(error, ConnectionError):
            log.warning("file was not sent completely", error=repr(error))
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
    """The number of bytes that the socket took, and whether it is full. Runs in a thread: it may read the disk."""
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


async def _run_to_its_end(function: Callable[..., Any], *arguments: Any) -> Any:
    """Runs in a thread and waits for its end even when cancelled: the thread uses the socket's descriptor, and if that
    were closed, another connection could get the same number."""
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
        raise TimeoutError("the client takes nothing")


def _wake(ready: "asyncio.Future[None]") -> None:
    if not ready.done():
        ready.set_result(None)
