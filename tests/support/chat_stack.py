"""A gateway on a port over real social and chat services, which have a NATS of their own: the chat hears events by
durable consumers, of which another chat service of the suite would take a part."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from httpx import AsyncClient

from gateway.container import Container
from tests.support.chat import Running as Chat
from tests.support.chat import chat_settings, running_chat_service
from tests.support.gateway import FrontEnd, gateway_settings, serving_gateway
from tests.support.servers import Servers, private_nats
from tests.support.social import Running as Social
from tests.support.social import running_social_service, social_settings
from tests.support.user import Running as Users


@dataclass(frozen=True, slots=True)
class Stack:
    url: str
    gateway: Container
    visitor: FrontEnd
    users: Users
    social: Social
    chat: Chat


@asynccontextmanager
async def running_stack(servers: Servers, user: Users, folder: Path, name: str, **more: str) -> AsyncIterator[Stack]:
    """`more`: settings of the chat service."""
    with private_nats(folder) as nats:
        own = {"HITOK_NATS_URL": nats.url}
        graph_settings = social_settings(servers.create_database(f"{name}_graph"), servers, folder, **own)
        async with running_social_service(graph_settings) as social:
            settings = chat_settings(servers.create_database(name), servers, folder, social.target, **own, **more)
            async with running_chat_service(settings) as chat:
                targets = {"USER": user.target, "SOCIAL": social.target, "CHAT": chat.target}
                named = {f"HITOK_{service}_TARGET": target for service, target in targets.items()}
                async with serving_gateway(gateway_settings(servers, **named, **own)) as (gateway, url):
                    async with AsyncClient(base_url=url) as http:
                        yield Stack(url, gateway, FrontEnd(http), user, social, chat)
