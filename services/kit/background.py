"""Work that goes on beside a block and ends with it."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any

import structlog


@asynccontextmanager
async def beside(*work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Runs them while the block runs; then cancels them and waits until they have ended."""
    tasks = [asyncio.create_task(each) for each in work]
    for task in tasks:
        task.add_done_callback(_report)
    try:
        yield
    finally:
        await asyncio.gather(*map(cancel, tasks), return_exceptions=True)


async def cancel(task: asyncio.Task[None]) -> None:
    """Again until it ends: before Python 3.12 asyncio.wait_for, which the drivers use too, may swallow it."""
    while not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=0.2)
    with suppress(asyncio.CancelledError):
        await task


def _report(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()):
        structlog.get_logger("tasks").error("background work ended", exc_info=error)
