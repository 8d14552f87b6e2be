"""Empties the event stream, which a backup does not hold: the outboxes fill it again.

Events of the time that a restore undoes must go, or consumers would handle what never happened.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import nats
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.api import StreamInfo
from nats.js.errors import NotFoundError

from deploy.local.errors import LocalError
from services.kit.events.stream import STREAM

SECONDS = 10
ONCE = {
    "allow_reconnect": False,
    "max_reconnect_attempts": 1,
    "reconnect_time_wait": 0,
}  # by default it retries for minutes
T = TypeVar("T")


def count_events(url: str) -> int:
    """How many events the stream holds. Raises LocalError."""

    async def count(jetstream: JetStreamContext) -> int:
        found = await _find(jetstream)
        return found.state.messages if found else 0

    return _with_jetstream(url, count)


def empty_stream(url: str) -> None:
    """Deletes the stream and creates it again with its settings. Purging would keep its consumers' positions and the
    ids of the events seen.

    Raises LocalError.
    """

    async def empty(jetstream: JetStreamContext) -> None:
        found = await _find(jetstream)
        if found:
            await jetstream.delete_stream(STREAM)
            await jetstream.add_stream(found.config)

    _with_jetstream(url, empty)


async def _find(jetstream: JetStreamContext) -> StreamInfo | None:
    try:
        return await jetstream.stream_info(STREAM)
    except NotFoundError:
        return None


async def ignore(_: Exception) -> None:
    """Silences the client, which would print the errors that it also raises."""


def _with_jetstream(url: str, work: Callable[[JetStreamContext], Awaitable[T]]) -> T:
    async def run() -> T:
        async with asyncio.timeout(SECONDS):
            client = await nats.connect(url.split(","), connect_timeout=SECONDS, error_cb=ignore, **ONCE)
            try:
                return await work(client.jetstream(timeout=SECONDS))
            finally:
                await client.close()

    try:
        return asyncio.run(run())
    except (NatsError, OSError, TimeoutError) as error:
        raise LocalError(f"NATS: {str(error) or type(error).__name__}. See HITOK_NATS_URL") from None
