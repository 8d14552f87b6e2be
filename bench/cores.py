"""Does a second process of everything, on a second core, do as much as the first?

One process of the gateway and of each service is held on one core, then two of each on two cores, in turns. Load and
servers share the machine, so not rates are compared but what our processes do for a second of their own CPU time: what
they lose by being several (caches of each, calls that meet another process) shows there. Aim: 0.85 of one alone.
"""

import itertools
import os
from collections import Counter
from pathlib import Path

import httpx

from bench.clients.load import send_each
from bench.report import row, title
from bench.routes import prepare, requests
from bench.servers.counting import Stack
from bench.servers.processes import cpu_by_name, programs
from bench.servers.stack import running_stack

ROUTES = ("GET /api/user/get-my-info", "GET /api/videos", "POST /api/contact/get-friend-list")
VIDEOS = 200
CONNECTIONS, BURST, ROUNDS = 32, 3_000, 2
OURS = ("gateway", "user", "social", "media", "chat")


async def measure() -> None:
    title(f"{len(os.sched_getaffinity(0))} cores: requests for a second of our CPU time, {CONNECTIONS} connections")
    found: dict[str, dict[int, float]] = {route: {} for route in ROUTES}
    for _ in range(ROUNDS):
        for processes in (1, 2):
            for route, rate in (await with_processes(processes)).items():
                row(f"{route.rpartition('/')[2]}, {processes} of each", f"{rate:.0f}")
                found[route][processes] = max(rate, found[route].get(processes, 0.0))
    for route, best in found.items():
        row(route.rpartition("/")[2], f"{best[2] / best[1]:.2f}", "of one alone, for each core; aim: at least 0.85")


async def with_processes(number: int) -> dict[str, float]:
    """By route."""
    with running_stack(HITOK_PROCESSES=str(number)) as (base, folder):
        stack = Stack(folder)
        async with httpx.AsyncClient(base_url=base, timeout=60) as http:
            filled = await prepare(http, folder, VIDEOS)
        hold_on_cores(stack.supervisor)
        await stack.until_done()
        rates = {}
        for route in ROUTES:
            wanted = requests(base, filled, {route: 1})
            await send_each(base, list(itertools.islice(wanted, BURST)), CONNECTIONS)  # warms the caches of each
            before = spent(stack.supervisor)
            await send_each(base, list(itertools.islice(wanted, BURST)), CONNECTIONS)
            rates[route] = BURST / (spent(stack.supervisor) - before)
        return rates


def hold_on_cores(supervisor: int) -> None:
    """The first process of each kind on the first core, the second on the second."""
    cores, seen = sorted(os.sched_getaffinity(0)), Counter[str]()
    for pid, name in sorted(programs(supervisor)):
        if name in OURS:
            for thread in Path(f"/proc/{pid}/task").iterdir():
                os.sched_setaffinity(int(thread.name), {cores[seen[name] % len(cores)]})
            seen[name] += 1


def spent(supervisor: int) -> float:
    return sum(seconds for name, seconds in cpu_by_name(supervisor).items() if name in OURS)
