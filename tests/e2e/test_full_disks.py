"""Each server, the store, the spool and the backups on a disk of its own, which is full for a while.

While it is, writes succeed or are refused with 429, 503 or 507; nothing acknowledged is lost; once there is room, all
works within 10 s without a restart.

`make chaos` fills each one HITOK_CHAOS_ROUNDS times. The suite fills one disk with all of them (test_chaos.py).
"""

import asyncio
import json
import os
import random
import re
import shutil
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, suppress
from pathlib import Path

import httpx
import psycopg
import pytest

from deploy.local.servers.cluster import SUPERUSER
from services.kit.background import cancel
from tests.e2e.chaos.disk import Disk
from tests.e2e.chaos.table import ROWS, Row
from tests.e2e.chaos.traffic import Traffic, registered
from tests.e2e.everything import Everything
from tests.e2e.people import Person, register
from tests.support.gateway import FrontEnd
from tests.support.servers import temporary_folder
from tests.support.user import mailed_code, new_name

MEGABYTES = {"postgres": 400, "valkey": 40, "nats": 100, "media": 40, "spool": 40}
BACKUPS = "backups"
SEED = int(os.environ.get("HITOK_CHAOS_SEED", "0")) or random.randrange(2**32)
ROUNDS = int(os.environ.get("HITOK_CHAOS_ROUNDS", "0"))
ONLY = re.compile(os.environ.get("HITOK_CHAOS_FAULTS", ""))
FULL_SECONDS, BACK_SECONDS = 20.0, 10.0

pytestmark = pytest.mark.skipif(not ROUNDS, reason="make chaos fills each disk by itself")


@pytest.fixture(scope="module")
def disks() -> Iterator[dict[str, Disk]]:
    if not Disk.is_possible():
        pytest.skip("needs root with the right to mount a disk")
    with temporary_folder() as folder, ExitStack() as stack:
        found = {}
        for name, megabytes in (MEGABYTES | {BACKUPS: 40}).items():
            found[name] = Disk(folder / "var" / name, megabytes)
            stack.callback(found[name].close)
        yield found


@pytest.fixture(scope="module")
def running(disks: dict[str, Disk]) -> Iterator[Everything]:
    running = Everything(disks["media"].path.parent, 1, HITOK_DRAIN_SECONDS="0", HITOK_RATE_LIMIT_SCALE="1000")
    try:
        running.start()
        yield running
    finally:
        if path := os.environ.get("HITOK_CHAOS_LOGS"):
            Path(path).write_text(running.logs() + running.said)
        running.close()


@pytest.mark.parametrize("name", MEGABYTES)
async def test_a_full_disk_loses_nothing_and_ends_with_the_room(
    disks: dict[str, Disk], running: Everything, name: str
) -> None:
    if not ONLY.search(f"disk full {name}"):
        pytest.skip("not one of HITOK_CHAOS_FAULTS")
    pids = {process: running.pid_of(process) for process in ("gateway", "user", "social", "media", "chat")}
    ROWS.append(row := Row(f"disk full {name}"))
    async with httpx.AsyncClient(base_url=running.urls[0], timeout=8) as http:
        alice, ben = [
            await registered(FrontEnd(http), lambda: register(http, lambda address: mailed_code(running.var, address)))
            for _ in range(2)
        ]
        traffic = CodesToo(http, alice, ben, random.Random(SEED))
        await traffic.begin()
        flowing, took = asyncio.create_task(traffic.run()), row.works
        try:
            for _ in range(ROUNDS):
                await traffic.all_succeed(time.monotonic(), 60)
                async with full(disks[name], running):
                    await asyncio.sleep(FULL_SECONDS)
                since = time.monotonic()
                took.append(await traffic.all_succeed(since, 60) - since)
                row.rounds += 1
                print(f"disk full {name}: back after {took[-1]:.1f} s; refused {dict(traffic.refused)}", flush=True)
        finally:
            await cancel(flowing)
        verdict = await traffic.judge()
    row.acked, row.lost, row.doubled = verdict.acked, len(verdict.lost), len(verdict.doubled)
    row.remarks.append(f"{sum(traffic.refused.values())} refused meanwhile")
    assert not (verdict.lost or verdict.doubled or verdict.wrong), (SEED, verdict)
    assert max(took) < BACK_SECONDS
    assert pids == {process: running.pid_of(process) for process in pids}, "a process had to be restarted"


async def test_a_full_disk_of_backups_is_told_and_the_next_one_is_whole(
    disks: dict[str, Disk], running: Everything
) -> None:
    if not ONLY.search(f"disk full {BACKUPS}"):
        pytest.skip("not one of HITOK_CHAOS_FAULTS")
    disk = disks[BACKUPS]
    ROWS.append(row := Row(f"disk full {BACKUPS}"))

    def back_up() -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "deploy.backup", "create", str(disk.path)]
        environ = os.environ | {"HITOK_VAR": str(running.var)}
        return subprocess.run(command, env=environ, capture_output=True, text=True)

    for _ in range(ROUNDS):
        disk.fill()
        refused = await asyncio.to_thread(back_up)
        assert len(list(disk.path.iterdir())) == 1, "only what fills it"
        disk.free()
        assert (refused.returncode, "Traceback" in refused.stderr) == (1, False), refused.stderr
        assert "no space left on device" in refused.stderr.lower(), refused.stderr
        done = await asyncio.to_thread(back_up)
        assert done.returncode == 0, done.stderr
        print(f"disk full {BACKUPS}: {refused.stderr.strip()[:200]}; then {done.stdout.strip()}", flush=True)
        for path in disk.path.iterdir():
            shutil.rmtree(path)
        row.rounds += 1


class CodesToo(Traffic):
    """Mailed codes besides, which are in Valkey."""

    def __init__(self, http: httpx.AsyncClient, alice: Person, ben: Person, dice: random.Random) -> None:
        super().__init__(http, alice, ben, dice)
        self.kinds += [("code", self._code)] * 4
        self.acked["code"] = {}

    async def _code(self) -> httpx.Response:
        return await self._http.post("/api/login/send-code", json={"email": f"{new_name()}@example.com"})


@asynccontextmanager
async def full(disk: Disk, running: Everything) -> AsyncIterator[None]:
    disk.fill()
    tasks = [asyncio.create_task(_write_log(running))] if disk.path.name == "postgres" else []
    try:
        yield
        await asyncio.gather(*map(cancel, tasks))
    finally:
        disk.free()


async def _write_log(running: Everything) -> None:
    """Makes PostgreSQL begin new segments of its log, so that it needs room at once."""
    password = json.loads((running.var / "secrets.json").read_bytes())["postgres"]
    port = (running.var / "postgres" / "data" / "postmaster.opts").read_text().partition("port=")[2].split('"')[0]
    url = f"postgresql://{SUPERUSER}:{password}@127.0.0.1:{port}/postgres"
    while True:
        with suppress(psycopg.Error):
            async with await psycopg.AsyncConnection.connect(url, connect_timeout=2) as connection:
                await connection.execute("SELECT pg_logical_emit_message(false, 'x', 'x'), pg_switch_wal()")
        await asyncio.sleep(0.3)
