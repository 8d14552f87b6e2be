"""Every route of the contract, and the four mixes: CPU of each process, statements, RPCs and messages for one request.

`ROUTES=get-my-info,mixed` measures those alone. `make performance` writes var/performance.md.
"""

import asyncio
import itertools
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlencode

import httpx

from bench import report
from bench.clients.load import Result, build_request, send_each
from bench.clients.people import Person, post
from bench.servers.counting import Stack
from bench.servers.processes import cpu_by_name
from bench.servers.stack import running_stack
from bench.worlds import catalogue, world
from bench.worlds.catalogue import World
from bench.worlds.mixes import MIXES

CONNECTIONS = 16
BURST, COUNTED = 600, 60  # requests
COMMENTS, OPEN_GROUPS = 20, 10
OTHERS = ("nats-server", "valkey-server")
HEAD = """# What a request costs

`make performance` writes this page by `python -m bench routes`: {users} users with {friends} friends each, {videos:,}
videos, {connections} connections, on one machine whose cores the servers share with the load.

{where}

CPU in milliseconds of all processes for one request, the caches as warm as {users} users keep them, and its shares;
statements, RPCs and NATS messages for one request, with what it sets off.

| route | CPU | gateway | services | PostgreSQL | rate /s | p50 ms | statements | RPCs | messages |
|---|---|---|---|---|---|---|---|---|---|
"""


class Cost(NamedTuple):
    """For one request; CPU in milliseconds by process."""

    name: str
    cpu: dict[str, float]
    result: Result
    statements: float
    rpcs: float
    messages: float

    @property
    def cells(self) -> list[str]:
        services = sum(spent for name, spent in self.cpu.items() if name not in ("gateway", "postgres", *OTHERS))
        shares = (sum(self.cpu.values()), self.cpu.get("gateway", 0), services, self.cpu.get("postgres", 0))
        counts = (self.statements, self.rpcs, self.messages)
        failed = f" ({self.result.failures} failed)" if self.result.failures else ""
        return [
            f"{self.name}{failed}",
            *(f"{share:.2f}" for share in shares),
            f"{self.result.rate:.0f}",
            f"{self.result.quantile(0.5):.1f}",
            *(f"{count:.2f}" for count in counts),
        ]


async def measure() -> None:
    asked = os.environ.get("ROUTES", "").split(",")
    costs = []
    with running_stack() as (base, folder):
        stack = Stack(folder)
        async with httpx.AsyncClient(base_url=base, timeout=60) as http:
            filled = await prepare(http, folder)
        await stack.until_done()
        routes = {route: {route: 1} for route in (*catalogue.READS, *catalogue.WRITES)} | MIXES
        for name, shares in routes.items():
            if asked == [""] or any(part in name for part in asked):
                costs.append(await cost_of(stack, base, filled, name, shares))
                report.row(name.rpartition("/")[2], *_summary(costs[-1]))
    if path := os.environ.get("PERFORMANCE"):
        Path(path).write_text(page(costs))  # noqa: ASYNC240 (nothing else runs)


async def prepare(http: httpx.AsyncClient, folder: Path, videos: int = world.VIDEOS) -> World:
    people = world.fill(folder)
    made = World(people, world.FRIENDS, await world.publish_all(http, people, videos))
    world.fill_lists(folder)
    for number in range(COMMENTS):
        comment = {"video_id": made.videos[0], "content": {"text": f"comment {number}"}}
        await post(http, people[number], "/api/videos/comment-video", **comment)
    headers = {"Authorization": f"Bearer {people[0]['token']}"}
    answer = await http.get(
        "/api/videos/get-comments", params={"id": made.videos[0], "is_video": "true"}, headers=headers
    )
    made.comments = [comment["id"] for comment in answer.raise_for_status().json()["data"]["comments"]]
    for number in range(OPEN_GROUPS):
        await post(http, people[number], "/api/contact/create-community", name=f"open {number}")
    with world.connect(folder, "social") as social:
        named = 'SELECT id FROM "group" WHERE name LIKE %s ORDER BY id'
        made.groups = [str(id) for (id,) in social.execute(named, ["group%"])]
        made.open_groups = [str(id) for (id,) in social.execute(named, ["open%"])]
    for turn, person in enumerate(people):
        sent = await post(http, person, "/api/chat/send", **catalogue.of("POST /api/chat/send")(made, turn))
        made.conversations.append(sent["conversation_id"])
    for service in ("social", "media", "chat"):  # as autovacuum does within minutes: plans of empty tables are slow
        with world.connect(folder, service) as filled:
            filled.execute("ANALYZE")
    return made


async def cost_of(stack: Stack, base: str, filled: World, name: str, shares: dict[str, int]) -> Cost:
    wanted = requests(base, filled, shares)
    await send_each(base, list(itertools.islice(wanted, len(filled.people))), CONNECTIONS)  # warms the caches
    await stack.until_done()
    before = cpu_by_name(stack.supervisor)
    result = await send_each(base, list(itertools.islice(wanted, BURST)), CONNECTIONS)
    await stack.until_done()
    after = cpu_by_name(stack.supervisor)
    cpu = {name: (after[name] - before.get(name, 0)) * 1000 / BURST for name in after}

    async def count() -> None:
        await send_each(base, list(itertools.islice(wanted, COUNTED)), 1)
        await asyncio.sleep(0.3)

    stack.log_statements(True)
    await asyncio.sleep(0.2)
    async with stack.hearing():
        counts = await stack.counting(count)
    stack.log_statements(False)
    found = (counts.statements, counts.rpcs, counts.messages)
    return Cost(name, cpu, result, *(each.total() / COUNTED for each in found))


def requests(base: str, filled: World, shares: dict[str, int]) -> Iterator[bytes]:
    """Of the users in turn, the routes in theirs."""
    order = [route for route, share in shares.items() for _ in range(share)]
    for turn in itertools.count():
        for route in order:
            yield request(base, route, filled.people[turn % len(filled.people)], catalogue.of(route)(filled, turn))


def request(base: str, route: str, person: Person, values: catalogue.Body) -> bytes:
    method, path = route.split()
    headers = {"Authorization": f"Bearer {person['token']}", "Content-Type": "application/json"}
    if method == "GET":
        texts = {name: str(value).lower() if isinstance(value, bool) else value for name, value in values.items()}
        return build_request(f"{base}{path}?{urlencode(texts)}", headers)
    return build_request(base + path, headers, method, json.dumps(values).encode())


def _summary(cost: Cost) -> tuple[str, str]:
    _, total, gateway, services, postgres, rate, p50, *counts = cost.cells
    note = f"gateway {gateway}  services {services}  postgres {postgres}  {rate}/s  p50 {p50} ms  counts {counts}"
    return f"{total} ms", note + (f"  {cost.result.failures} failed" if cost.result.failures else "")


def page(costs: list[Cost]) -> str:
    sizes = {"users": world.USERS, "friends": world.FRIENDS, "videos": world.VIDEOS, "connections": CONNECTIONS}
    rows = (f"| {' | '.join(cost.cells)} |\n" for cost in costs)
    return HEAD.format(where=report.machine(), **sizes) + "".join(rows)
