"""A socket of a dialect beside one of ours: its memory, and the CPU time of a delivery to it."""

import asyncio
import time
from pathlib import Path

import httpx

from bench.clients.crowd import broadcast
from bench.clients.people import Person, make_group, message, register_all
from bench.clients.sockets import DIALECT, OURS, Client, open_client
from bench.report import row, title
from bench.servers.processes import allow_many_files, family_cpu, pid_of, resident
from bench.servers.stack import running_stack

PEOPLE = 50
SOCKETS = 1_000
SECONDS = 10.0
SETTLE_SECONDS = 5.0  # until what waited for a client was sent, and what came last was confirmed
MARKS = {OURS: b'{"type":"message"', DIALECT: b'{"type":"chat"'}


async def measure() -> None:
    allow_many_files()
    with running_stack(HITOK_BCRYPT_COST="4", HITOK_CHAT_SOCKETS="100000") as (base, folder):
        async with httpx.AsyncClient(base_url=base, timeout=60) as http:
            owner, *others = await register_all(http, PEOPLE)
            group = await make_group(http, owner, others)
            sender, _ = await open_client(base, owner["token"])
            await sender.ask("send", **message({"group_id": group}))
            title(f"a crowd of {SOCKETS} sockets, by our protocol and by dialect A")
            await memory(base, folder, others)
            await deliveries(base, folder, sender, group, others)


async def memory(base: str, folder: Path, people: list[Person]) -> None:
    """Both kinds are open at once, because a process reuses memory that it took earlier."""
    gateway, crowds, sizes = pid_of("gateway", folder), list[Client](), list[float]()
    for path in (OURS, DIALECT):
        crowds += await gather(base, people, path, 100)  # what the first sockets cost only once
        before = resident(gateway)
        crowds += await gather(base, people, path, SOCKETS)
        sizes.append((resident(gateway) - before) / SOCKETS)
    row("a dialect's socket", f"{sizes[1]:.1f} KiB", f"ours: {sizes[0]:.1f}; aim: at most 1.2 times ours")
    await leave(crowds)


async def deliveries(base: str, folder: Path, sender: Client, group: str, people: list[Person]) -> None:
    stack, costs = pid_of("deploy.local", folder), list[float]()
    for path, mark in MARKS.items():
        crowd = await gather(base, people, path, SOCKETS)
        spent = family_cpu(stack)
        result = await broadcast(sender, group, crowd, SECONDS, mark)
        await asyncio.sleep(SETTLE_SECONDS)
        costs.append((family_cpu(stack) - spent) / result.requests * 1e6)
        await leave(crowd)
    note = f"ours, which confirms nothing: {costs[0]:.0f}; of all servers; aim: at most 1.2 times ours"
    row("a delivery to it", f"{costs[1]:.0f} us", note)


async def gather(base: str, people: list[Person], path: str, count: int) -> list[Client]:
    """Returns once what waited for them has come: no frame came for a while."""
    last, crowd = time.monotonic(), list[Client]()

    def take(payload: bytes) -> None:
        nonlocal last
        last = time.monotonic()

    for number in range(count):
        client, _ = await open_client(base, people[number % len(people)]["token"], path=path)
        client.on_event = take
        crowd.append(client)
    last = time.monotonic()
    while (quiet := time.monotonic() - last) < SETTLE_SECONDS:  # noqa: ASYNC110
        await asyncio.sleep(SETTLE_SECONDS - quiet)
    return crowd


async def leave(crowd: list[Client]) -> None:
    for client in crowd:
        client.transport.close()
    await asyncio.sleep(1)
