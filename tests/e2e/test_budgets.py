"""What a request may set off: statements, RPCs, NATS messages and bytes, by route, as tests/e2e/budgets.txt allows.

They are counted, not timed, so the machine makes no difference. All processes run in this one.
"""

import asyncio
import os
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import psycopg
import pytest
from nats.aio.client import Client as Nats
from nats.aio.msg import Msg
from prometheus_client import REGISTRY

from bench.clients.people import Person as Account
from bench.worlds import catalogue
from bench.worlds.catalogue import READS, UNMEASURED, WRITES, World
from gateway.app import ENDPOINTS
from services.chat.push import outbox
from services.kit.context import current_request_id
from services.kit.db import Database
from services.kit.nats import open_nats
from services.kit.sql.statements import Bound
from services.media.consumer import consuming
from tests.gateway.people import Person, by_phone
from tests.support.chat import chat_settings, running_chat_service
from tests.support.gateway import RunningGateway, gateway_settings, running_gateway
from tests.support.media import media_settings
from tests.support.servers import Servers, private_nats
from tests.support.social import running_social_service, social_settings
from tests.support.user import running_user_service, user_settings
from tests.support.videos import running_videos

WRITING = os.environ.get("BUDGETS") == "write"
BUDGETS = Path(__file__).with_name("budgets.txt")
USERS, FRIENDS = 12, 2
TRIES, COUNTED = 6, 3  # requests of each route: at most, and to write its budget
UNPUBLISHED = "SELECT FROM outbox WHERE published_at IS NULL LIMIT 1"
UNSENT = "SELECT FROM push LIMIT 1"
UNCOUNTED = ("beat.", "_INBOX.", "$JS.")


class Budget(NamedTuple):
    statements: int
    rpcs: int
    messages: int
    bytes: int  # of the answer and of the messages


class Counting:
    """Counts what is done since `begin`."""

    def __init__(self, databases: dict[str, Database]) -> None:
        """By service."""
        self._seen: Counter[str] = Counter()
        self._rpcs = 0.0
        self._looks: list[tuple[psycopg.AsyncConnection, str]] = []
        self._databases = databases
        for database in databases.values():
            database.watchers.append(self._take)

    def _take(self, statement: Bound) -> None:
        self._count("statements")
        if current_request_id.get():  # else of the relay, a consumer or another background task
            self._count("asked")

    def _count(self, what: str, number: int = 1) -> None:
        self._seen[what] += number

    async def hear(self, nats: Nats) -> None:
        async def take(message: Msg) -> None:
            if not message.subject.startswith(UNCOUNTED):
                self._count("messages")
                self._count("bytes", len(message.data))

        await nats.subscribe(">", cb=take)
        await nats.flush()
        self._nats = nats
        for name, database in self._databases.items():
            connection = await psycopg.AsyncConnection.connect(database.url, autocommit=True)
            self._looks += [(connection, query) for query in (UNPUBLISHED, *([UNSENT] if name == "chat" else []))]

    async def close(self) -> None:
        for connection, _ in self._looks:
            await connection.close()

    def begin(self) -> None:
        self._seen.clear()
        self._rpcs = served()

    async def end(self, answer: httpx.Response, waits: bool) -> Budget:
        """`waits`: until all events are handled; else only the statements of RPCs count."""
        while waits and await self._is_busy():  # noqa: ASYNC110 (there is no event for it)
            await asyncio.sleep(0.01)
        rpcs = served() - self._rpcs
        size = self._seen["bytes"] + len(answer.content)
        statements = self._seen["statements" if waits else "asked"]
        return Budget(statements, round(rpcs), self._seen["messages"], size)

    async def _is_busy(self) -> bool:
        """Whether an event waits to be published or handled, or a push to be sent."""
        for connection, query in self._looks:
            if (await connection.execute(query.encode())).rowcount:
                return True
        consumers = await self._nats.jetstream().consumers_info("EVENTS")
        return any(each.num_pending or each.num_ack_pending for each in consumers)


def served() -> float:
    """RPCs that the services of this process have answered."""
    found = (s for metric in REGISTRY.collect() if metric.name == "hitok_rpc_served_seconds" for s in metric.samples)
    return sum(sample.value for sample in found if sample.name.endswith("_count"))


class Stack(NamedTuple):
    gateway: RunningGateway
    world: World
    counting: Counting

    async def call(self, route: str, turn: int) -> httpx.Response:
        """The route's request of that turn. It has to be answered with 200."""
        method, path = route.split()
        values = catalogue.of(route)(self.world, turn)
        headers = {"Authorization": f"Bearer {self.world.people[turn % USERS]['token']}"}
        if method == "GET":
            texts = {name: str(value).lower() if isinstance(value, bool) else value for name, value in values.items()}
            answer = await self.gateway.http.get(path, params=texts, headers=headers)
        else:
            answer = await self.gateway.http.request(method, path, json=values, headers=headers)
        assert answer.status_code == 200, (route, values, answer.text)
        return answer

    async def cost(self, route: str, turn: int) -> Budget:
        self.counting.begin()
        answer = await self.call(route, turn)
        return await self.counting.end(answer, waits=route in WRITES)


@asynccontextmanager
async def running_stack(servers: Servers, nats_url: str, folder: Path) -> AsyncIterator[Stack]:
    """All services and a gateway, on a NATS of their own."""
    named: Any = {"HITOK_NATS_URL": nats_url}

    def place(name: str) -> tuple[str, Servers, Path]:
        return servers.create_database(f"budgets_{name}"), servers, folder / name

    async with AsyncExitStack() as stack:
        user = await stack.enter_async_context(running_user_service(user_settings(*place("user"), **named)))
        social = await stack.enter_async_context(running_social_service(social_settings(*place("social"), **named)))
        following = named | {"HITOK_SOCIAL_TARGET": social.target}
        media = await stack.enter_async_context(running_videos(media_settings(*place("media"), **following)))
        await stack.enter_async_context(consuming(media.service))
        chat = await stack.enter_async_context(
            running_chat_service(chat_settings(*place("chat"), social.target, **named))
        )
        found = {"USER": user.target, "SOCIAL": social.target, "MEDIA": media.target, "CHAT": chat.target}
        targets = {f"HITOK_{name}_TARGET": target for name, target in found.items()}
        settings = gateway_settings(servers, HITOK_VAR=media.settings.var, **targets, **named)
        gateway = await stack.enter_async_context(running_gateway(settings))
        listener = await stack.enter_async_context(open_nats(nats_url, "counting"))
        await until(lambda: listener.is_connected and gateway.container.hearing.hears("user", "social", "media"))
        databases = {"user": user.service.database, "social": social.service.database}
        databases |= {"media": media.service.database, "chat": chat.service.database}
        counting = Counting(databases)
        world = await settle(gateway, [await by_phone(gateway.http, user) for _ in range(USERS)])
        await counting.hear(listener)
        stack.push_async_callback(counting.close)
        yield Stack(gateway, world, counting)


async def settle(gateway: RunningGateway, users: list[Person]) -> World:
    """Friends, videos, groups, a comment and conversations."""
    people: list[Account] = []
    for user in users:
        name = str((await user.get("/api/user/get-my-info"))["username"])
        people.append({"name": name, "token": user.token, "id": user.id})
    for turn, user in enumerate(users):
        for friend in (people[turn - 1], people[(turn + 1) % USERS]):
            await user.post("/api/contact/add-friend", username=friend["name"])
    for user in users:
        await user.post("/api/videos/create-video", video_path="https://example.com/v.mp4", title="film")
    videos = [video["id"] for video in (await users[0].get("/api/videos", page_size=50))["data"]]
    world = World(people, FRIENDS, videos)
    for _ in range(2):
        await users[0].post("/api/videos/comment-video", video_id=videos[0], content={"text": "a comment"})
    found = await users[0].get("/api/videos/get-comments", id=videos[0], is_video="true")
    world.comments = [comment["id"] for comment in found["comments"]]
    for user in users[:3]:
        await user.post("/api/contact/create-community", name="group")
    mine = [(await user.get("/api/contact/get-group-list"))["groups"][0]["id"] for user in users[:3]]
    world.groups, world.open_groups = mine[:1], mine[1:]
    for user in users[1:]:
        await user.post("/api/contact/join-community", community_id=mine[0])
    for turn, user in enumerate(users):
        sent = await user.post("/api/chat/send", **catalogue.of("POST /api/chat/send")(world, turn))
        world.conversations.append(sent["conversation_id"])
    return world


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def read_budgets() -> dict[str, Budget]:
    lines = [line.split() for line in BUDGETS.read_text().splitlines() if line[:4] in ("GET ", "POST")]
    return {f"{method} {path}": Budget(*map(int, numbers)) for method, path, *numbers in lines}


def written(costs: dict[str, Budget]) -> str:
    """The file of budgets, with the comment that it begins with."""
    head = [line for line in BUDGETS.read_text().splitlines() if line[:4] not in ("GET ", "POST")]
    rows = [
        f"{route:44}" + "".join(f"{number:>11}" for number in with_room(cost, route in WRITES))
        for route, cost in costs.items()
    ]
    return "\n".join([*head, *rows]) + "\n"


def with_room(cost: Budget, writes: bool) -> Budget:
    """What a write sets off comes in more or fewer batches; the length of an answer depends on names."""
    size = -(-cost.bytes * 11 // 1000) * 100
    if not writes:
        return cost._replace(bytes=size)
    return Budget(cost.statements + max(2, cost.statements // 4), cost.rpcs + 2, cost.messages + 2, size + 300)


async def test_no_route_sets_off_more_than_its_budget(
    servers: Servers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`BUDGETS=write` writes what was counted into budgets.txt."""
    monkeypatch.setattr(outbox, "CONFIRM", 0.05)  # each write waits until its pushes are deleted
    with private_nats(tmp_path) as nats:
        async with running_stack(servers, nats.url, tmp_path) as stack:
            budgets = {} if WRITING else read_budgets()
            costs = {route: await least(stack, route, budgets.get(route)) for route in (*READS, *WRITES)}
    if WRITING:
        BUDGETS.write_text(written(costs))
        return
    assert costs.keys() == budgets.keys()
    over = {
        f"{route}: {name} {spent} > {allowed}"
        for route, cost in costs.items()
        for name, spent, allowed in zip(Budget._fields, cost, budgets[route], strict=True)
        if spent > allowed
    }
    assert not over


async def least(stack: Stack, route: str, budget: Budget | None) -> Budget:
    """Of several requests, since what runs in the background only adds; fewer if it is within the budget.

    A read is the same again, so that the caches have what it needs; a write is another one, and its budget is the most
    of several, since what comes at one moment is handled in more or in fewer batches.
    """
    found = await stack.cost(route, 0)
    for turn in range(1, TRIES if budget else COUNTED):
        if budget and all(spent <= allowed for spent, allowed in zip(found, budget, strict=True)):
            break
        next_cost = await stack.cost(route, turn if route in WRITES else 0)
        found = Budget(*map(max if route in WRITES and not budget else min, found, next_cost))
    return found


def test_every_route_is_measured_or_told_why_not() -> None:
    measured = {route.split()[1] for route in (*READS, *WRITES)}
    documented = {handler.opt["endpoint"].paths[0] for handler in ENDPOINTS}
    assert measured <= documented
    assert not [path for path in documented - measured if not path.startswith(tuple(UNMEASURED))]
