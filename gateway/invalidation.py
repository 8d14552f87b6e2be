"""Drops what the near caches hold as soon as a service says it changed.

A plain subscription to the subjects the services' relays publish on: an event missed costs no more than
the cache's time to live.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import msgspec
from nats.aio.client import Client as Nats
from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from gateway.loaders import NearCache
from protos.user.v1.accounts_pb2 import SessionVerdict
from protos.user.v1.users_pb2 import User
from services.kit.events import Event


@asynccontextmanager
async def listening(
    nats: Nats, verdicts: NearCache[int, SessionVerdict], cards: NearCache[int, User]
) -> AsyncIterator[None]:
    async def drop(message: Msg) -> None:
        event = msgspec.json.decode(message.data, type=Event)
        for session_id in event.data.get("session_ids", ()):
            verdicts.drop(int(session_id))
        cards.drop(int(event.data["user_id"]))

    async def subscribe() -> None:
        while not nats.is_connected:  # noqa: ASYNC110 (the client has no event for it)
            await asyncio.sleep(0.1)
        with suppress(NatsError):
            await nats.subscribe("events.user.>", cb=drop)  # the client renews it when it reconnects

    subscribing = asyncio.create_task(subscribe())
    try:
        yield
    finally:
        subscribing.cancel()
