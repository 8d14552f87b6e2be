"""Two gateways and a chat service as separate processes on private servers, which tests may kill."""

import asyncio
import os
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import msgspec

from deploy.local.databases import ensure_database
from deploy.local.ports import find_free_port
from deploy.local.servers.server import Server
from services.chat.service import MIGRATIONS
from services.kit import schema
from services.probe import is_ready
from tests.e2e.stack import GatewayProcess, Process
from tests.support.chat import Running, chat_settings, connected
from tests.support.processes import SECRETS
from tests.support.proxy import Proxy, proxy_to
from tests.support.servers import private_nats, private_postgres, private_valkey
from tests.support.social import Running as Social
from tests.support.social import running_social_service, social_settings
from tests.support.user import Running as Users
from tests.support.user import environment, running_user_service, user_settings


class Given(NamedTuple):
    """Takes the place of the suite's Servers."""

    redis_url: str
    nats_url: str


class ChatProcess(Process):
    def answers(self) -> bool:
        return is_ready("grpc", "chat", int(self.environment["HITOK_GRPC_PORT"]), self.environment)


@dataclass
class Fleet:
    servers: dict[str, Server]
    processes: dict[str, Process]
    to_gateways: list[Proxy]
    to_nats: list[Proxy]
    users: Users
    social: Social
    chat: Running  # without its `service`, which is a process
    urls: list[str]

    @property
    def faults(self) -> dict[str, Callable[[random.Random], Awaitable[None]]]:
        """The faults to cause; after each one everything runs again."""
        return {f"kill {name}": self._killer(name) for name in (*self.servers, *self.processes)}

    def _killer(self, name: str) -> Callable[[random.Random], Awaitable[None]]:
        async def kill(dice: random.Random) -> None:
            victim = self.servers.get(name) or self.processes[name]
            await asyncio.to_thread(victim.kill)
            await asyncio.sleep(dice.random() / 2)
            await asyncio.to_thread(victim.start)

        return kill

    @property
    def disturbances(self) -> dict[str, Callable[[random.Random], Awaitable[None]]]:
        """Faults of the network between clients and gateways, and between gateways and NATS."""
        proxies = {f"gateway {n}": proxy for n, proxy in enumerate(self.to_gateways)}
        proxies |= {f"nats of {n}": proxy for n, proxy in enumerate(self.to_nats)}
        ways = {"cut": _cut, "swallow": _swallow, "delay": _delay}
        return {f"{how} {name}": _bound(way, proxy) for name, proxy in proxies.items() for how, way in ways.items()}


async def _cut(proxy: Proxy, dice: random.Random) -> None:
    proxy.cut()


async def _swallow(proxy: Proxy, dice: random.Random) -> None:
    await proxy.swallow(dice.random())


async def _delay(proxy: Proxy, dice: random.Random) -> None:
    proxy.delay = 0.1
    await asyncio.sleep(dice.random())
    proxy.delay = 0.0


def _bound(way: Any, proxy: Proxy) -> Callable[[random.Random], Awaitable[None]]:
    return lambda dice: way(proxy, dice)


@asynccontextmanager
async def running_fleet(folder: Path, dice: random.Random) -> AsyncIterator[Fleet]:
    async with AsyncExitStack() as exits:
        postgres = exits.enter_context(private_postgres(folder))
        servers = {"postgres": postgres, "valkey": exits.enter_context(private_valkey(folder))}
        servers["nats"] = exits.enter_context(private_nats(folder))
        given: Any = Given(servers["valkey"].url, servers["nats"].url)
        urls = {name: ensure_database(postgres.url, name, "of-this-test") for name in ("users", "graph", "chat")}
        users = await exits.enter_async_context(
            running_user_service(user_settings(urls["users"], given, folder, HITOK_POSTGRES_POOL="4"))
        )
        social = await exits.enter_async_context(
            running_social_service(social_settings(urls["graph"], given, folder, HITOK_POSTGRES_POOL="4"))
        )
        settings = chat_settings(urls["chat"], given, folder, social.target)
        settings = msgspec.structs.replace(settings, grpc_port=find_free_port(), metrics_port=find_free_port())
        schema.upgrade(settings.postgres_url, MIGRATIONS)
        processes: dict[str, Process] = {
            "chat": ChatProcess("services.chat", environment(settings), folder / "chat.log")
        }
        to_nats = [await exits.enter_async_context(proxy_to(_port(given.nats_url), dice)) for _ in range(2)]
        to_gateways: list[Proxy] = []
        for number, nats in enumerate(to_nats):
            port = find_free_port()
            to_gateways.append(await exits.enter_async_context(proxy_to(port, dice)))
            nats_url = given.nats_url.replace(f":{_port(given.nats_url)}", f":{nats.port}")
            environ = _gateway_environment(port, users.target, social.target, settings.grpc_port, given, nats_url)
            processes[f"gateway{number}"] = GatewayProcess("gateway", environ, folder / f"gateway{number}.log")
        for process in processes.values():
            exits.callback(process.close)
            process.launch()
        for process in processes.values():
            await asyncio.to_thread(process.wait_until_it_answers)
        chat = await exits.enter_async_context(connected(settings, f"127.0.0.1:{settings.grpc_port}"))
        fronts = [f"http://127.0.0.1:{proxy.port}" for proxy in to_gateways]
        yield Fleet(servers, processes, to_gateways, to_nats, users, social, chat, fronts)


def _port(url: str) -> int:
    return int(urlsplit(url).port or 0)


def _gateway_environment(
    port: int, users: str, social: str, chat_port: int, given: Given, nats_url: str
) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "HITOK_HTTP_PORTS": str(port),
        "HITOK_USER_TARGET": users,
        "HITOK_SOCIAL_TARGET": social,
        "HITOK_MEDIA_TARGET": users,  # not asked here; any gRPC server makes a gateway ready
        "HITOK_CHAT_TARGET": f"127.0.0.1:{chat_port}",
        "HITOK_REDIS_URL": given.redis_url,
        "HITOK_NATS_URL": nats_url,
        **SECRETS,
        "HITOK_RATE_LIMIT_SCALE": "0",
        "HITOK_DRAIN_SECONDS": "0",
    }
