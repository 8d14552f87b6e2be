"""Whatever happens to a process or the disk: nothing acknowledged is lost or doubled, and all works again soon.

`make chaos` causes each fault HITOK_CHAOS_ROUNDS times (HITOK_CHAOS_FAULTS: only those that match the expression), in
the order of HITOK_CHAOS_SEED, and prints a table at its end. The suite causes a few.
"""

import asyncio
import os
import random
import re
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from services.kit.background import cancel
from tests.e2e.chaos import crowd, faults
from tests.e2e.chaos.disk import Disk
from tests.e2e.chaos.faults import Fault
from tests.e2e.chaos.table import ROWS, Row, middle
from tests.e2e.chaos.traffic import Traffic, registered
from tests.e2e.everything import Everything
from tests.e2e.people import register
from tests.support.gateway import FrontEnd
from tests.support.servers import temporary_folder
from tests.support.user import mailed_code

SEED = int(os.environ.get("HITOK_CHAOS_SEED", "0")) or random.randrange(2**32)
ROUNDS = int(os.environ.get("HITOK_CHAOS_ROUNDS", "0"))  # 0: the short form
ONLY = re.compile(os.environ.get("HITOK_CHAOS_FAULTS", ""))
KILLED = (*faults.SERVICES, *faults.SERVERS)
SHORT = ("kill nats", "disk full", "slow clients")
# All clients are on one machine.
SETTINGS = {"HITOK_DRAIN_SECONDS": "0", "HITOK_NETWORK_CONNECTIONS": "0", "HITOK_NETWORK_SOCKETS": "0"}
CALM = 60.0  # seconds in which all has to work again
# Of a killed process, on any machine; a quiet one takes less than 3 s (docs/faults.md).
HEALTHY_MIDDLE, HEALTHY_WORST = 10.0, 30.0  # seconds


@pytest.fixture
def disk() -> Iterator[Disk]:
    if not Disk.is_possible():
        pytest.skip("needs root with the right to mount a disk")
    with temporary_folder() as folder:
        disk = Disk(folder / "disk")
        yield disk
        disk.close()


def every_fault(disk: Disk, told: list[str]) -> dict[str, Fault]:
    freeze = (5.0, 15.0) if ROUNDS else (1.0, 2.0)
    return {
        **{f"kill {name}": faults.killing(name) for name in KILLED},
        **{f"freeze {name}": faults.freezing(name, *freeze) for name in KILLED},
        "kill everything": faults.kill_everything,
        "disk full": faults.filling(disk, 20.0 if ROUNDS else 2.0),
        "power cut": faults.cutting_power(disk),
        "overload": faults.overloading(2_000, 20.0),
        "slow clients": crowd.crowding(*((crowd.WHOLE, 20.0) if ROUNDS else (crowd.FEW, 1.0)), told),
    }


async def test_nothing_acknowledged_is_lost_or_doubled(disk: Disk) -> None:
    dice = random.Random(SEED)
    print(f"HITOK_CHAOS_SEED={SEED}", flush=True)
    told = list[str]()
    chosen = {
        name: fault
        for name, fault in every_fault(disk, told).items()
        if (ONLY.search(name) if ROUNDS else name in SHORT)
    }
    rows = [Row(name) for name in dice.sample(sorted(chosen), len(chosen))]
    with ExitStack() as stack:
        running = Everything(disk.path / "var", 1, ha=False, **SETTINGS)
        stack.callback(running.close)
        stack.callback(keep_logs, running)
        running.start()
        for row in rows:
            ROWS.append(row)
            await play(running, row, chosen[row.fault], dice)
            row.remarks, told[:] = told[-1:], []
            print(row.text(), flush=True)
    for row in rows:
        assert not (row.lost or row.doubled or row.wrong), (SEED, row)
        if row.healthy:
            assert middle(row.healthy) < HEALTHY_MIDDLE and max(row.healthy) < HEALTHY_WORST, (SEED, row)


def keep_logs(running: Everything) -> None:
    if path := os.environ.get("HITOK_CHAOS_LOGS"):
        Path(path).write_text(running.logs() + running.said)


async def play(running: Everything, row: Row, fault: Fault, dice: random.Random) -> None:
    """All rounds of one fault, under traffic of two new users."""
    # Of 20 writes per second while something is frozen, each waits for its time-out.
    limits = httpx.Limits(max_connections=1_000, max_keepalive_connections=100)
    killed = next((name for name in KILLED if row.fault == f"kill {name}"), "")
    async with httpx.AsyncClient(base_url=running.urls[0], timeout=8, limits=limits) as http:
        visitor = FrontEnd(http)
        alice, ben = [
            await registered(visitor, lambda: register(http, lambda address: mailed_code(running.var, address)))
            for _ in range(2)
        ]
        traffic = Traffic(http, alice, ben, dice)
        await traffic.begin()
        flowing = asyncio.create_task(traffic.run())
        try:
            for _ in range(ROUNDS or 1):
                await traffic.all_succeed(time.monotonic(), CALM)
                row.rounds += 1
                old = await faults.living(running, killed) if killed else 0
                since = await fault(running, dice)
                works = asyncio.create_task(traffic.all_succeed(since, CALM))
                if killed:
                    row.healthy.append(await faults.replaced(running, killed, old) - since)
                row.works.append(await works - since)
        except TimeoutError as error:
            row.wrong.append(str(error) or "not back")
        finally:
            await cancel(flowing)
        verdict = await traffic.judge()
    row.acked, row.lost, row.doubled = verdict.acked, len(verdict.lost), len(verdict.doubled)
    row.wrong += [f"{found}" for found in (*verdict.lost[:3], *verdict.doubled[:3], dict(verdict.wrong)) if found]
