"""What happens to a running hitok. Each fault returns the moment (time.monotonic) from which recovery counts."""

import asyncio
import os
import random
import signal
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from bench.clients.load import build_request
from bench.clients.open_load import OpenLoad
from tests.e2e.chaos.disk import Disk
from tests.e2e.everything import Everything
from tests.support.servers import find_family

SERVICES = ("gateway", "user", "social", "media", "chat")
SERVERS = ("postgres", "valkey", "nats")
RESTART_SECONDS = 60
Fault = Callable[[Everything, random.Random], Awaitable[float]]


def killing(name: str) -> Fault:
    async def kill(running: Everything, dice: random.Random) -> float:
        os.kill(await living(running, name), signal.SIGKILL)
        return time.monotonic()

    return kill


def freezing(name: str, least: float, most: float) -> Fault:
    async def freeze(running: Everything, dice: random.Random) -> float:
        pids = find_family(await living(running, name))
        _signal(pids, signal.SIGSTOP)
        await asyncio.sleep(dice.uniform(least, most))
        _signal(pids, signal.SIGCONT)
        return time.monotonic()

    return freeze


async def living(running: Everything, name: str) -> int:
    """Its pid, once it was started again: all may work before that, where a server is not needed for each answer."""
    async with asyncio.timeout(RESTART_SECONDS):
        while not is_alive(pid := running.pid_of(name)):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    return pid


async def replaced(running: Everything, name: str, pid: int) -> float:
    """When (time.monotonic) another process was ready in its place."""
    async with asyncio.timeout(RESTART_SECONDS):
        while running.pid_of(name) == pid:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    return time.monotonic()


def is_alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


async def kill_everything(running: Everything, dice: random.Random) -> float:
    await asyncio.to_thread(running.kill)
    began = time.monotonic()
    await asyncio.to_thread(running.start)
    return began


def filling(disk: Disk, seconds: float) -> Fault:
    async def fill(running: Everything, dice: random.Random) -> float:
        await asyncio.to_thread(disk.fill)
        await asyncio.sleep(seconds)
        disk.free()
        return time.monotonic()

    return fill


def cutting_power(disk: Disk) -> Fault:
    """Stops all at one moment, and starts with what was synced until then."""

    async def cut(running: Everything, dice: random.Random) -> float:
        await asyncio.sleep(dice.uniform(0, 2))
        _signal(find_family(running.pid), signal.SIGSTOP)
        await asyncio.to_thread(disk.snapshot)
        await asyncio.to_thread(running.kill)
        await asyncio.sleep(0.5)
        await asyncio.to_thread(disk.lose_power)
        began = time.monotonic()
        await asyncio.to_thread(running.start)
        return began

    return cut


def overloading(rate: float, seconds: float) -> Fault:
    """Reads at `rate` per second, far more than can be served."""

    async def overload(running: Everything, dice: random.Random) -> float:
        parts = urlsplit(running.urls[0])
        load = OpenLoad((str(parts.hostname), int(parts.port or 80)), 500)
        request = build_request(f"{running.urls[0]}/api/videos", {})
        await load.run(lambda _: request, rate, seconds)
        load.close()
        return time.monotonic()

    return overload


async def is_healthy(running: Everything) -> bool:
    """Whether the gateway is ready, and through it every service has answered."""
    try:
        async with httpx.AsyncClient() as http:
            return (await http.get(f"{running.urls[0]}/health/ready", timeout=2)).status_code == 200
    except httpx.TransportError:
        return False


def _signal(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)
