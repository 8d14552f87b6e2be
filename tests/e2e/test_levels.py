"""What a run takes is level under a steady mixed load: memory, descriptors, connections, rows that wait.

`make soak` runs it for HITOK_SOAK_SECONDS and prints a table, one line per sixth of that time.
"""

import asyncio
import os
import random
import uuid
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest

from bench.servers.processes import resident
from services.kit.background import cancel
from tests.e2e.balancer import balancing
from tests.e2e.chaos import faults
from tests.e2e.everything import Everything, everything
from tests.e2e.people import Person, register
from tests.e2e.test_ha import column
from tests.e2e.test_replicas import Load, send
from tests.support.device import Device
from tests.support.media import png
from tests.support.servers import temporary_folder
from tests.support.user import mailed_code
from tests.support.video_people import URL

SECONDS = float(os.environ.get("HITOK_SOAK_SECONDS", "0"))
RATE = float(os.environ.get("HITOK_SOAK_RATE", "40"))  # requests per second
UPLOADS_EVERY = 2.0  # seconds
PARTS = 6
# A third of the memory that is there after the first third, and no more, for caches that still fill.
MEMORY, DESCRIPTORS, WAITING = 1.33, 20, 200
CONNECTIONS = 45  # the pools of four services (10), a listener each, and ours
SERVICES = ("user", "social", "media", "chat")

pytestmark = pytest.mark.skipif(not SECONDS, reason="run make soak")


class Level(NamedTuple):
    memory: dict[str, float]  # MiB, by process
    descriptors: dict[str, int]
    connections: int  # to PostgreSQL
    waiting: int  # events, jobs and pushes

    def text(self) -> str:
        processes = " ".join(f"{name} {self.memory[name]:.0f}/{self.descriptors[name]}" for name in self.memory)
        return f"{processes}; {self.connections} connections, {self.waiting} rows wait"


async def test_what_a_run_takes_is_level() -> None:
    with temporary_folder() as folder, everything(folder / "var") as running:
        async with balancing(running.gateways) as http:
            alice, ben = [await register(http, lambda address: mailed_code(running.var, address)) for _ in range(2)]
            await ben.post("/api/contact/add-friend", username=alice.name)
            await alice.post("/api/contact/add-friend", username=ben.name)
            user_id = (await alice.get("/api/user/get-my-info"))["id"]
            await send(ben, user_id, str(uuid.uuid4()))
            await ben.post("/api/videos/create-video", video_path=URL, title="clip")
            device = Device(int(user_id), alice.token, running.gateways, random.Random(1))
            load = Load(http, alice, ben, RATE)
            tasks = [asyncio.create_task(work) for work in (device.live(), load.run(), upload(ben))]
            levels = []
            print("\nMiB and descriptors by process")
            for number in range(PARTS):
                await asyncio.sleep(SECONDS / PARTS)
                levels.append(await asyncio.to_thread(level_of, running))
                print(f"{SECONDS / PARTS * (number + 1):6.0f} s  {load.done:7} done  {levels[-1].text()}", flush=True)
            for task in tasks:
                await cancel(task)
            device.stop()
    assert not device.failures
    assert len(load.failures) < load.done / 1_000, load.failures[:10]
    early, late = levels[1], levels[-1]
    for name in early.memory:
        assert late.memory[name] < early.memory[name] * MEMORY, name
        assert late.descriptors[name] < early.descriptors[name] + DESCRIPTORS, name
    assert late.connections <= CONNECTIONS
    assert late.waiting < WAITING


async def upload(ben: Person) -> None:
    while True:
        with suppress(httpx.TransportError):
            await ben.call("POST", "/api/file/upload", files={"file": ("a.png", png())})
        await asyncio.sleep(UPLOADS_EVERY)


def level_of(running: Everything) -> Level:
    pids = {name: running.pid_of(name) for name in (*faults.SERVICES, *faults.SERVERS)}
    waiting = [column(running, name, "SELECT count(*) FROM outbox WHERE published_at IS NULL")[0] for name in SERVICES]
    waiting += column(running, "media", "SELECT count(*) FROM job WHERE due_at IS NOT NULL")
    waiting += column(running, "chat", "SELECT count(*) FROM push")
    return Level(
        {name: resident(pid) / 1024 for name, pid in pids.items()},
        {name: len(list(Path(f"/proc/{pid}/fd").iterdir())) for name, pid in pids.items()},
        int(column(running, "chat", "SELECT count(*) FROM pg_stat_activity WHERE datname IS NOT NULL")[0]),
        sum(map(int, waiting)),
    )
