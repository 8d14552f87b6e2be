"""A gateway on a port with the fake chat service behind it, and its people."""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from gateway.container import Container
from tests.gateway.fake_chat import FakeChat, running_fake_chat
from tests.gateway.people import Person, by_phone
from tests.support.gateway import FrontEnd, gateway_settings, serving_gateway
from tests.support.servers import Servers
from tests.support.sockets import Socket, open_socket
from tests.support.user import Running

FENCES = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Stage:
    gateway: Container
    url: str
    chat: FakeChat
    user: Running
    http: httpx.AsyncClient

    async def person(self) -> Person:
        return await by_phone(self.http, self.user)

    async def people(self, count: int) -> list[Person]:
        return list(await asyncio.gather(*(self.person() for _ in range(count))))

    async def ticket(self, person: FrontEnd) -> str:
        return str((await person.get("/api/chat/ws-ticket"))["ticket"])

    def socket(
        self, person: Person, cursors: dict[str, int] | None = None, **options: Any
    ) -> AbstractAsyncContextManager[Socket]:
        return open_socket(self.url, person.token, cursors, **options)

    async def say(self, conversation_id: int, sender: Person, text: str, id: str = "") -> int:
        """A message that somebody elsewhere sent; its rev."""
        body = json.dumps({"text": text}).encode()
        return (await self.chat.write(conversation_id, int(sender.id), id or text, body)).rev

    async def pushed(self, socket: Socket, person: Person) -> list[dict[str, Any]]:
        """All frames that were pushed to the socket before this call: it waits for one that is pushed after them."""
        id = f"{next(FENCES)}"
        await self.chat.push(f"push.user.{person.id}", "fence", {"id": id})
        await socket.event("fence", id=id)
        seen, socket.seen = socket.seen, []
        return [frame for frame in seen if frame["type"] != "fence"]


@asynccontextmanager
async def running_stage(servers: Servers, user: Running, nats_url: str = "", **settings: str) -> AsyncIterator[Stage]:
    async with (
        running_fake_chat(servers, nats_url) as chat,
        gateway_of(chat, servers, user, nats_url, **settings) as stage,
    ):
        yield stage


@asynccontextmanager
async def gateway_of(
    chat: FakeChat, servers: Servers, user: Running, nats_url: str = "", **settings: str
) -> AsyncIterator[Stage]:
    """Another one, maybe, before the same service."""
    targets = {"HITOK_USER_TARGET": user.target, "HITOK_CHAT_TARGET": chat.target}
    nats = {"HITOK_NATS_URL": nats_url} if nats_url else {}
    async with serving_gateway(gateway_settings(servers, **targets, **nats, **settings)) as (gateway, url):
        await until(lambda: gateway.sockets.subscriber.subscribed)
        async with httpx.AsyncClient(base_url=url) as http:
            yield Stage(gateway, url, chat, user, http)


async def until(true: Any, timeout: float = 60.0) -> None:
    async with asyncio.timeout(timeout):
        while not true():  # noqa: ASYNC110 (of whatever a test looks at there is no event)
            await asyncio.sleep(0.01)
