"""The NATS client, and the format of events."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import msgspec
import structlog
from nats.aio.client import Client as Nats
from nats.errors import Error as NatsError
from prometheus_client import Gauge

from services.kit import background
from services.kit.log import ThrottledWarning

CONNECT: dict[str, Any] = {"connect_timeout": 2, "reconnect_time_wait": 1, "max_reconnect_attempts": -1}
CONNECT |= {"ping_interval": 5, "max_outstanding_pings": 2}
CONNECTED = Gauge("hitok_nats_connected", "1 while NATS is connected")

log = structlog.get_logger("nats")


class Event(msgspec.Struct, frozen=True):
    """An event as it is published. `aggregate` is the thing that changed, such as "user:42"."""

    id: int
    subject: str
    aggregate: str
    occurred_at: str
    data: dict[str, Any]


@asynccontextmanager
async def open_nats(url: str, name: str) -> AsyncIterator[Nats]:
    """A client that connects in the background, reconnects for ever and notices a dead server within seconds.

    `url` may name the servers of a cluster, separated by commas; the client moves on to another when its own is away.
    """
    client = Nats()
    waiting, reported = ThrottledWarning(log, "waiting for nats"), ThrottledWarning(log, "nats")

    async def report(error: Exception) -> None:
        reported(error)

    async def connect() -> None:
        while not client.is_connected:
            try:
                await client.connect(url.split(","), name=f"hitok-{name}", error_cb=report, **CONNECT)
            except (OSError, NatsError, TimeoutError) as error:
                waiting(error)
                await asyncio.sleep(1)

    CONNECTED.set_function(lambda: client.is_connected)
    try:
        async with background.run(connect_nats=connect):
            yield client
    finally:
        with suppress(NatsError, OSError, TimeoutError, AssertionError):  # AssertionError: it never began to connect
            await client.close()
