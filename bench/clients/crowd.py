"""One sender and a thousand receivers: deliveries per second, and how one that does not read affects the others."""

import asyncio
import socket
import time
from itertools import count
from pathlib import Path
from typing import Any

import httpx

from bench.clients.load import Result
from bench.clients.people import Person, make_group, message, post
from bench.clients.sockets import Client, open_client
from bench.report import row, title
from bench.servers.processes import cpu, pid_of, resident

RECEIVERS = 1_000
SECONDS = 5.0
STUCK_SECONDS = 6.0  # less than the time after which the gateway closes such a socket
LARGE = "x" * 40_000
KERNEL_BYTES = 4_096  # receive buffer of the stuck client: the gateway has to hold the rest


async def measure(http: httpx.AsyncClient, base: str, folder: Path, people: list[Person]) -> None:
    title(f"one sender, {RECEIVERS} receivers of {len(people)} users")
    owner, *others = people
    group = await make_group(http, owner, others)
    sender, _ = await open_client(base, owner["token"])
    await sender.ask("send", **message({"group_id": group}))
    await asyncio.sleep(1)
    crowd = [(await open_client(base, others[n % len(others)]["token"]))[0] for n in range(RECEIVERS - 1)]
    gateway = pid_of("gateway", folder)
    spent = cpu(gateway)
    calm = await broadcast(sender, group, crowd, SECONDS)
    spent = cpu(gateway) - spent
    row("deliveries", f"{calm.rate:.0f}/s", f"{_quantiles(calm)}, shared with this client")
    row("per second of the gateway", f"{calm.requests / spent:.0f}/s", "of its CPU time; aim: 20000")
    await post(http, owner, "/api/contact/add-friend", username=others[0]["name"])
    await post(http, others[0], "/api/contact/add-friend", username=owner["name"])
    await stuck(base, gateway, sender, group, crowd, others[0])
    for client in [sender, *crowd]:
        client.transport.close()


async def broadcast(
    sender: Client, group: str, crowd: list[Client], seconds: float, mark: bytes = b'{"type":"message"'
) -> Result:
    """Sends a message after the other, each as soon as all have received the one before. `mark`: how it begins."""
    latencies: list[float] = []
    sent_at, arrived, left = [0.0], asyncio.Event(), count(1)

    def take(payload: bytes) -> None:
        if payload.startswith(mark) and len(payload) < len(LARGE):
            latencies.append(time.perf_counter() - sent_at[0])
            if next(left) % len(crowd) == 0:
                arrived.set()

    for client in crowd:
        client.on_event = take
    began = time.perf_counter()
    while time.perf_counter() < began + seconds:
        sent_at[0] = time.perf_counter()
        arrived.clear()
        await sender.ask("send", **message({"group_id": group}))
        await asyncio.wait_for(arrived.wait(), 30)
    return Result(len(latencies), time.perf_counter() - began, sorted(latencies), 0)


async def stuck(base: str, gateway: int, sender: Client, group: str, crowd: list[Client], person: Person) -> None:
    """One receiver also gets large direct messages, and for a while reads nothing."""
    line = socket.socket()
    line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, KERNEL_BYTES)
    client, _ = await open_client(base, person["token"], line)
    seen: list[bytes] = []
    # All sockets of a user get their direct messages, so the user's other sockets leave.
    quiet = [each for each in crowd if each.token != person["token"]]
    for each in crowd:
        if each.token == person["token"]:
            each.transport.abort()
    revs: list[int] = []

    async def flood() -> str:
        ends, id = time.perf_counter() + STUCK_SECONDS, ""
        while time.perf_counter() < ends:
            ack = await sender.ask("send", **message({"user_id": person["id"]}, LARGE))
            id = ack["conversation_id"]
            revs.append(ack["rev"])
        return id

    # First with a receiver that reads: the large messages alone slow the others, and the gateway keeps the last events.
    reading, _ = await asyncio.gather(broadcast(sender, group, quiet, STUCK_SECONDS), flood())
    row("beside one that reads", f"{reading.rate:.0f}/s", f"{_quantiles(reading)}; {len(revs)} messages of 40 KB")
    before, sent = resident(gateway), len(revs)
    client.on_event = seen.append
    client.transport.pause_reading()
    beside, id = await asyncio.gather(broadcast(sender, group, quiet, STUCK_SECONDS), flood())
    sent = len(revs) - sent
    grown = resident(gateway) - before
    row("beside one that does not", f"{beside.rate:.0f}/s", f"{_quantiles(beside)}; {sent} messages of 40 KB")
    row("the gateway grew by", f"{grown:.0f} KiB", "aim: less than 2048 for that socket")
    client.transport.resume_reading()
    await asyncio.sleep(1)
    resyncs = sum(payload.startswith(b'{"type":"resync"') for payload in seen)
    found = await _history(client, id)
    row("then it was told to sync", f"{resyncs} times", f"and found {len(found)} of {len(revs)} messages")
    client.transport.close()


async def _history(client: Client, id: str) -> set[int]:
    """The revs of all messages."""
    revs: set[int] = set()
    before: dict[str, Any] = {}
    while True:
        page = await client.ask("history", conversation_id=id, limit=100, **before)
        revs |= {each["rev"] for each in page["messages"]}
        if not page["more"]:
            return revs
        before = {"before_seq": page["messages"][-1]["seq"]}


def _quantiles(result: Result) -> str:
    return f"p50 {result.quantile(0.5):.1f} ms  p99 {result.quantile(0.99):.1f} ms"
