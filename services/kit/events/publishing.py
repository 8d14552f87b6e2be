"""Publishes to the stream without waiting for each acknowledgement."""

import asyncio
import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
from nats.aio.client import Client as Nats
from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from services.kit.events.stream import PUBLISH_TIMEOUT, STREAM

STORED = ""


class Outgoing(NamedTuple):
    subject: str
    body: bytes
    headers: dict[str, str]


class Acknowledgement(msgspec.Struct):
    error: Any = None


class StreamPublisher:
    def __init__(self, client: Nats) -> None:
        self._client, self._inbox = client, ""
        self._waiting: dict[str, asyncio.Future[str]] = {}
        self._numbers = itertools.count()

    async def publish(self, messages: Sequence[Outgoing]) -> list[str]:
        """STORED for each message that the stream has, else why it failed; after PUBLISH_TIMEOUT that is "timeout".

        All are on their way at once over one connection, whose messages the stream stores in their order; of a
        connection that is lost it has the first ones. Raises NatsError.
        """
        if not self._client.is_connected:  # else the client would keep them, and publish them when it is back
            raise NatsError("not connected")
        await self._subscribe()
        loop = asyncio.get_running_loop()
        waiting = {f"{self._inbox}.{next(self._numbers)}": loop.create_future() for _ in messages}
        self._waiting |= waiting
        try:
            for reply, message in zip(waiting, messages, strict=True):
                headers = message.headers | {"Nats-Expected-Stream": STREAM}
                await self._client.publish(message.subject, message.body, reply=reply, headers=headers)
            await asyncio.wait(waiting.values(), timeout=PUBLISH_TIMEOUT)
        finally:
            for reply in waiting:
                del self._waiting[reply]
        return [answer.result() if answer.done() else "timeout" for answer in waiting.values()]

    async def _subscribe(self) -> None:
        """Once: the client subscribes again by itself when it reconnects."""
        if not self._inbox:
            inbox = self._client.new_inbox()
            await self._client.subscribe(f"{inbox}.*", cb=self._take)
            self._inbox = inbox

    async def _take(self, message: Msg) -> None:
        answer = self._waiting.get(message.subject)
        if answer is None or answer.done():
            return
        if not message.data:
            answer.set_result("no stream")
            return
        error = msgspec.json.decode(message.data, type=Acknowledgement).error
        answer.set_result(str(error) if error else STORED)
