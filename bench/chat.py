"""The chat end to end: acknowledged sends, deliveries to many, memory per idle socket, all sockets reconnecting.

It opens BENCH_IDLE_SOCKETS (5000) sockets; `ulimit -Hn` has to allow that many here and for the gateway.
"""

import asyncio
import os
import time
from pathlib import Path

import httpx

from bench.clients import crowd
from bench.clients.load import Result
from bench.clients.people import Person, message, post, register_all
from bench.clients.sockets import Client, open_client
from bench.report import row, title
from bench.servers.processes import allow_many_files, cpu, family_cpu, pid_of, resident
from bench.servers.stack import free_ports, running_stack

PAIRS = 32
SECONDS = 5.0
CROWD = 50  # people in the large group
IDLE = int(os.environ.get("BENCH_IDLE_SOCKETS", "5000"))
IDLE_PEOPLE = 500
STORM_SECONDS = 10.0


async def measure() -> None:
    allow_many_files()
    ports = free_ports(4)
    names = ("HITOK_MEDIA_GRPC_PORT", "HITOK_MEDIA_METRICS_PORT", "HITOK_CHAT_GRPC_PORT", "HITOK_CHAT_METRICS_PORT")
    settings = {name: str(port) for name, port in zip(names, ports, strict=True)}
    with running_stack(**settings, HITOK_BCRYPT_COST="4", HITOK_CHAT_SOCKETS="100000") as (base, folder):
        async with httpx.AsyncClient(base_url=base, timeout=60) as http:
            people = await register_all(http, max(2 * PAIRS, CROWD, IDLE_PEOPLE))
            await idle(base, folder, people[:IDLE_PEOPLE])
            await sends(http, base, folder, people)
            await crowd.measure(http, base, folder, people[:CROWD])


async def sends(http: httpx.AsyncClient, base: str, folder: Path, people: list[Person]) -> None:
    title(f"acknowledged sends, {PAIRS} conversations")
    pairs = list(zip(people[:PAIRS], people[PAIRS : 2 * PAIRS], strict=True))
    for one, other in pairs:
        await post(http, one, "/api/contact/add-friend", username=other["name"])
        await post(http, other, "/api/contact/add-friend", username=one["name"])
    clients = [(await open_client(base, person["token"]))[0] for pair in pairs for person in pair]
    targets = [person["id"] for pair in pairs for person in pair]
    gateway, stack = pid_of("gateway", folder), pid_of("deploy.local", folder)
    await send_all(clients, [targets[index ^ 1] for index in range(len(clients))], 1.0)  # creates the conversations
    for in_flight in (1, 2 * PAIRS):
        before, all_before = cpu(gateway), family_cpu(stack)
        result = await send_all(clients[:in_flight], [targets[index ^ 1] for index in range(in_flight)], SECONDS)
        cost = (cpu(gateway) - before) / result.requests * 1000
        each = (family_cpu(stack) - all_before) / result.requests
        note = f"p50 {result.quantile(0.5):.1f} ms  p99 {result.quantile(0.99):.1f} ms"
        row(f"{in_flight} at a time", f"{result.rate:.0f}/s", note)
        note = f"{each * 1000:.2f} ms of all servers per message, {cost:.2f} of the gateway; aim: 250"
        row("per core in use", f"{1 / each:.0f}/s", note)
    for client in clients:
        client.transport.close()


async def send_all(clients: list[Client], targets: list[str], seconds: float) -> Result:
    latencies: list[float] = []
    began = time.perf_counter()

    async def run(client: Client, target: str) -> None:
        while (started := time.perf_counter()) < began + seconds:
            await client.ask("send", **message({"user_id": target}))
            latencies.append(time.perf_counter() - started)

    await asyncio.gather(*map(run, clients, targets))
    return Result(len(latencies), time.perf_counter() - began, sorted(latencies), 0)


async def idle(base: str, folder: Path, people: list[Person]) -> None:
    title(f"{IDLE} sockets of {len(people)} users")
    gateway, stack = pid_of("gateway", folder), pid_of("deploy.local", folder)
    before = resident(gateway)  # before anything else: a process reuses memory that it took earlier
    clients, times = await connect_all(base, people, IDLE, 0)
    await asyncio.sleep(1)
    row("an idle socket", f"{(resident(gateway) - before) / len(clients):.1f} KiB", "aim: at most 40")
    for client in clients:
        client.transport.abort()
    await asyncio.sleep(1)
    spent = family_cpu(stack)
    clients, times = await connect_all(base, people, IDLE, STORM_SECONDS)
    spent = (family_cpu(stack) - spent) / IDLE * 1000
    result = Result(len(times), STORM_SECONDS, sorted(times), 0)
    note = f"p50 {result.quantile(0.5):.0f} ms  p99 {result.quantile(0.99):.0f} ms to `ready`; aim: p99 under 2000"
    note += f"  {IDLE - len(times)} failed" if len(times) < IDLE else ""
    row(f"all back within {STORM_SECONDS:g} s", f"{IDLE / STORM_SECONDS:.0f}/s", note)
    row("a hello costs", f"{spent:.2f} ms", "of all servers")
    for client in clients:
        client.transport.close()


async def connect_all(base: str, people: list[Person], number: int, seconds: float) -> tuple[list[Client], list[float]]:
    """Opens `number` sockets over `seconds`, or 50 at a time if that is 0; returns them and the seconds of each."""
    free = asyncio.Semaphore(50 if not seconds else number)

    async def run(index: int) -> tuple[Client, float]:
        await asyncio.sleep(seconds * index / number)
        async with free:
            return await open_client(base, people[index % len(people)]["token"])

    opened = await asyncio.gather(*map(run, range(number)), return_exceptions=True)
    good = [each for each in opened if not isinstance(each, BaseException)]
    return [client for client, _ in good], [took for _, took in good]
