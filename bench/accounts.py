"""How fast is `get-my-info`, and do logins slow it down? Aims: 0.25 of the floor or more; p99 under 5 times as long."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator

import httpx

from bench.clients.load import Result, build_request, load, send_each
from bench.report import row, title
from bench.servers.counting import Stack
from bench.servers.processes import cpu_by_name
from bench.servers.stack import PASSWORD, register, running_bare, running_stack

USERS = 20
CONNECTIONS = 64
SECONDS = 4.0
ROUNDS = 3
LOGINS = 20
QUIET_RATE = 200.0  # requests/s, whose latency is measured while others log in


async def measure() -> None:
    with running_bare() as bare, running_stack() as (base, folder):
        accounts = [register(base, folder) for _ in range(USERS)]
        url = f"{base}/api/user/get-my-info"
        requests = [build_request(url, {"Authorization": f"Bearer {token}"}) for _, token in accounts]
        await throughput(bare, url, requests)
        await login_cost(base, Stack(folder), [address for address, _ in accounts])
        await under_logins(url, requests, f"{base}/api/login/login", accounts[0][0])


async def throughput(bare: str, url: str, requests: list[bytes]) -> None:
    title(f"get-my-info, {CONNECTIONS} connections, {USERS} users")
    shares = []
    for _ in range(ROUNDS):  # in turn, because the load of these machines varies
        floor = await load(bare, [build_request(bare, {})], CONNECTIONS, SECONDS)
        ours = await load(url, requests, CONNECTIONS, SECONDS)
        show("bare Litestar handler", floor)
        show("get-my-info", ours)
        shares.append(ours.rate / floor.rate)
    row("share of the floor", f"{sorted(shares)[ROUNDS // 2]:.2f}", "aim: at least 0.25")


async def login_cost(base: str, stack: Stack, addresses: list[str]) -> None:
    title("logins, 4 connections")
    headers = {"Content-Type": "application/json"}
    bodies = [json.dumps({"email": address, "password": PASSWORD}).encode() for address in addresses]
    requests = [build_request(f"{base}/api/login/login", headers, "POST", body) for body in bodies] * 3
    before = cpu_by_name(stack.supervisor)
    result = await send_each(base, requests, 4)
    await stack.until_done()
    spent = sum(cpu_by_name(stack.supervisor).values()) - sum(before.values())
    show("logins", result)
    row("CPU of all processes", f"{spent * 1000 / len(requests):.1f} ms", "for each")


async def under_logins(url: str, requests: list[bytes], login: str, address: str) -> None:
    title(f"get-my-info at {QUIET_RATE:g}/s, idle and with {LOGINS} logins in flight")
    idle = await load(url, requests, 20, SECONDS, QUIET_RATE)
    async with logging_in(login, address) as done:
        busy = await load(url, requests, 20, SECONDS, QUIET_RATE)
    show("idle", idle)
    show(f"with {len(done) / SECONDS:.0f} logins/s", busy)
    row("p99, times", f"{busy.quantile(0.99) / idle.quantile(0.99):.1f}", "aim: under 5")


@contextlib.asynccontextmanager
async def logging_in(url: str, address: str) -> AsyncIterator[list[int]]:
    """Keeps LOGINS logins in flight; yields the list that collects the statuses of their answers."""
    done: list[int] = []

    async def run(client: httpx.AsyncClient) -> None:
        while True:
            answer = await client.post(url, json={"email": address, "password": PASSWORD}, timeout=30)
            done.append(answer.status_code)

    async with httpx.AsyncClient() as client:
        tasks = [asyncio.create_task(run(client)) for _ in range(LOGINS)]
        await asyncio.sleep(1)
        done.clear()
        yield done
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def show(name: str, result: Result) -> None:
    note = f"p50 {result.quantile(0.5):.1f} ms  p99 {result.quantile(0.99):.1f} ms"
    note += f"  {result.failures} failed" if result.failures else ""
    row(name, f"{result.rate:.0f}/s", note + (f"  {result.refused} refused, overloaded" if result.refused else ""))
