"""All four services and a gateway in this process, on a NATS of their own, and the people who report and moderate."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from gateway.container import Container
from services.media.consumer import consuming
from tests.support import social as graph
from tests.support.chat import Running as Chat
from tests.support.chat import chat_settings, running_chat_service
from tests.support.gateway import FrontEnd, gateway_settings, serving_gateway
from tests.support.media import media_settings
from tests.support.people import Person, new_people
from tests.support.servers import Servers, private_nats
from tests.support.social import Running as Social
from tests.support.social import running_social_service, social_settings
from tests.support.user import Running as Users
from tests.support.user import execute, running_user_service, user_settings
from tests.support.videos import Videos, faults, running_videos

MODERATOR = 3


@dataclass(frozen=True, slots=True)
class Town:
    user: Users
    social: Social
    media: Videos
    chat: Chat
    gateway: Container
    url: str
    visitor: FrontEnd

    async def people(self, count: int) -> list[Person]:
        return await new_people(self.visitor, self.user, count)

    async def moderator(self, role: int = MODERATOR) -> Person:
        (person,) = await self.people(1)
        await execute(self.user, "UPDATE account SET role = :role WHERE id = :id", role=role, id=person.id)
        return person

    async def friends(self) -> tuple[Person, Person]:
        a, b = await self.people(2)
        await graph.add(self.social, a.id, b.id)
        await graph.add(self.social, b.id, a.id)
        return a, b


@asynccontextmanager
async def running_town(servers: Servers, folder: Path, **more: str) -> AsyncIterator[Town]:
    async with AsyncExitStack() as stack:
        nats = {"HITOK_NATS_URL": stack.enter_context(private_nats(folder)).url, **more}
        url = servers.create_database
        user = await stack.enter_async_context(
            running_user_service(user_settings(url("town_user"), servers, folder, **nats))
        )
        social = await stack.enter_async_context(
            running_social_service(social_settings(url("town_social"), servers, folder, **nats))
        )
        media = await stack.enter_async_context(
            running_videos(media_settings(url("town_media"), servers, folder, **nats))
        )
        await stack.enter_async_context(consuming(media.service))
        targets = {"HITOK_MEDIA_TARGET": media.target, **nats}
        chat = await stack.enter_async_context(
            running_chat_service(chat_settings(url("town_chat"), servers, folder, social.target, **targets))
        )
        targets |= {"HITOK_USER_TARGET": user.target, "HITOK_SOCIAL_TARGET": social.target}
        targets |= {"HITOK_CHAT_TARGET": chat.target, "HITOK_VAR": str(folder)}
        gateway, address = await stack.enter_async_context(serving_gateway(gateway_settings(servers, **targets)))
        while not (gateway.invalidation.subscribed and gateway.sockets.subscriber.subscribed):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        http = await stack.enter_async_context(httpx.AsyncClient(base_url=address))
        yield Town(user, social, media, chat, gateway, address, FrontEnd(http))
        assert not await faults(media)


async def report(reporter: FrontEnd, kind: str, reason: str = "spam", **what: Any) -> str:
    made = await reporter.post("/api/report/create-report", kind=kind, reason=reason, **what)
    return str(made["report_id"])


async def case_of(moderator: FrontEnd, owner: Person) -> dict[str, Any]:
    """The only open case of that owner."""
    (case,) = (await moderator.get("/api/moderation/cases", owner_id=owner.uid))["cases"]
    found: dict[str, Any] = case
    return found


async def decide(moderator: FrontEnd, case: dict[str, Any], verb: str, **more: Any) -> dict[str, Any]:
    act: dict[str, Any] = await moderator.post(
        "/api/moderation/decide-case", case_id=case["case_id"], verb=verb, **more
    )
    return act
