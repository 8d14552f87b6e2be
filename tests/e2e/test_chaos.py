"""Whatever happens to a process or the disk: nothing acknowledged is lost or doubled, and all works again soon.

`make chaos` causes each fault HITOK_CHAOS_ROUNDS times (HITOK_CHAOS_FAULTS: only those that match the expression), in
the order of HITOK_CHAOS_SEED, and prints a table. The suite causes a few.
"""

import asyncio
import os
import random
import re
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from services.kit.background import cancel
from tests.e2e.chaos import faults
from tests.e2e.chaos.disk import Disk
from tests.e2e.chaos.faults import Fault
from tests.e2e.chaos.traffic import Traffic, Verdict, registered
from tests.e2e.everything import Everything
from tests.e2e.people import register
from tests.support.gateway import FrontEnd
from tests.support.servers import temporary_folder
from tests.support.user import mailed_code

SEED = int(os.environ.get("HITOK_CHAOS_SEED", "0")) or random.randrange(2**32)
ROUNDS = int(os.environ.get("HITOK_CHAOS_ROUNDS", "0"))  # 0: the short form
ONLY = re.compile(os.environ.get("HITOK_CHAOS_FAULTS", ""))
SHORT = ("kill nats", "disk full")
CALM = 60.0  # seconds in which all has to work again; the table says how long it took


@dataclass
class Row:
    fault: str
    recoveries: list[float] = field(default_factory=list)  # seconds until every kind of write had succeeded
    failed: list[str] = field(default_factory=list)
    verdict: Verdict = field(default_factory=Verdict)

    def text(self) -> str:
        times = sorted(self.recoveries) or [0.0]
        middle, found = times[len(times) // 2], self.verdict
        return (
            f"{self.fault:18} {len(self.recoveries):6} {found.acked:7} {len(found.lost):5} {len(found.doubled):8} "
            f"{middle:8.1f} {times[-1]:7.1f}  {dict(found.wrong) or ''} {' '.join(self.failed)}"
        )


HEAD = f"{'fault':18} {'rounds':>6} {'acked':>7} {'lost':>5} {'doubled':>8} {'back p50':>8} {'worst':>7}  wrong answers"


@pytest.fixture
def disk() -> Iterator[Disk]:
    if not Disk.is_possible():
        pytest.skip("needs root with the right to mount a disk")
    with temporary_folder() as folder:
        disk = Disk(folder / "disk")
        yield disk
        disk.close()


def every_fault(disk: Disk) -> dict[str, Fault]:
    freeze = (5.0, 15.0) if ROUNDS else (1.0, 2.0)
    names = (*faults.SERVICES, *faults.SERVERS)
    return {
        **{f"kill {name}": faults.killing(name) for name in names},
        **{f"freeze {name}": faults.freezing(name, *freeze) for name in names},
        "kill everything": faults.kill_everything,
        "disk full": faults.filling(disk, 20.0 if ROUNDS else 2.0),
        "power cut": faults.cutting_power(disk),
        "overload": faults.overloading(2_000, 20.0),
        "slow clients": faults.crowding(700, 20.0),
    }


async def test_nothing_acknowledged_is_lost_or_doubled(disk: Disk) -> None:
    dice = random.Random(SEED)
    print(f"HITOK_CHAOS_SEED={SEED}\n{HEAD}", flush=True)
    chosen = {
        name: fault for name, fault in every_fault(disk).items() if (ONLY.search(name) if ROUNDS else name in SHORT)
    }
    rows = [Row(name) for name in dice.sample(sorted(chosen), len(chosen))]
    with ExitStack() as stack:
        running = Everything(disk.path / "var", 1, HITOK_DRAIN_SECONDS="0", HITOK_NETWORK_CONNECTIONS="0")
        stack.callback(running.close)
        stack.callback(keep_logs, running)
        running.start()
        for row in rows:
            await play(running, row, chosen[row.fault], dice)
            print(row.text(), flush=True)
    for row in rows:
        assert not (row.verdict.lost or row.verdict.doubled), (SEED, row)
        assert not (row.failed or row.verdict.wrong), (SEED, row)


def keep_logs(running: Everything) -> None:
    if path := os.environ.get("HITOK_CHAOS_LOGS"):
        Path(path).write_text(running.logs() + running.said)


async def play(running: Everything, row: Row, fault: Fault, dice: random.Random) -> None:
    """All rounds of one fault, under traffic of two new users."""
    # Of 20 writes per second while something is frozen, each waits for its time-out.
    limits = httpx.Limits(max_connections=1_000, max_keepalive_connections=100)
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
                since = await fault(running, dice)
                row.recoveries.append(await traffic.all_succeed(since, CALM) - since)
        except TimeoutError as error:
            row.failed.append(str(error))
        finally:
            await cancel(flowing)
        row.verdict = await traffic.judge()
