"""Alerts on work in the background: each fires for its cause, and goes quiet once that is mended (`make alerts`)."""

import asyncio
import json
import os
import signal
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import psycopg
import pytest

from services.media.files.ingest import PROFILES
from tests.e2e.everything import Everything, everything
from tests.e2e.people import register_by_phone
from tests.e2e.test_alerts import long, repeating, scraping, signal_all, wait
from tests.e2e.test_replicas import send
from tests.support.gateway import FrontEnd
from tests.support.media import video
from tests.support.prometheus import Prometheus, find_program
from tests.support.push_services import Answer, Browser, PushService, running_push_service
from tests.support.servers import find_family

pytestmark = long
STALL_SECONDS = 200  # a task is late after 120
BACKENDS = """SELECT pid FROM pg_stat_activity
 WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()"""


@dataclass
class World:
    running: Everything
    prometheus: Prometheus
    push_service: PushService
    sender: FrontEnd
    receiver: FrontEnd


@pytest.fixture(scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    find_program("prometheus")  # or skip before anything starts
    folder = tmp_path_factory.mktemp("background")
    async with running_push_service(folder) as service:
        settings = {
            "HITOK_PUSH_CA": service.ca,
            "HITOK_PUSH_PORTS": str(service.port),
            "HITOK_PUSH_PRIVATE_NETWORKS": "true",
            "HITOK_PUSH_DELAY_SECONDS": "0.2",
        }
        with everything(folder / "var", 1, ha=False, **settings) as running, scraping(running, folder) as prometheus:
            async with httpx.AsyncClient(base_url=running.urls[0], timeout=10) as http:
                people = [(await register_by_phone(http))[0] for _ in range(2)]
                yield World(running, prometheus, service, *people)
        await service.end()


def kill_decoders(media: int) -> None:
    """As the kernel does while memory is short."""
    for pid in find_family(media):
        with suppress(OSError):  # it has ended
            if Path(f"/proc/{pid}/comm").read_text().strip() in PROFILES:
                os.kill(pid, signal.SIGKILL)
    time.sleep(0.02)


async def test_decoders_that_are_killed_until_they_may_live(world: World) -> None:
    async def upload() -> None:
        answer = await world.sender.call("POST", "/api/file/upload", files={"file": ("a.mp4", video(seconds=5))})
        assert answer.status_code == 200, answer.text
        await asyncio.sleep(1)

    media = world.running.pid_of("media")
    async with repeating(upload):
        async with repeating(lambda: asyncio.to_thread(kill_decoders, media)):
            await wait(world.prometheus, {"JobsFail"})
        await wait(world.prometheus, set(), {"JobsFail"})


async def test_a_push_service_that_refuses_our_key_until_it_takes_it(world: World) -> None:
    subscription = Browser(world.push_service, "receiver").subscription
    keys = {name: subscription[name] for name in ("p256dh", "auth")}
    await world.receiver.post("/api/push/register", kind="webpush", address=subscription["address"], keys=keys)
    sender, receiver = [await person.get("/api/user/get-my-info") for person in (world.sender, world.receiver)]
    await world.sender.post("/api/contact/add-friend", username=receiver["username"])
    await world.receiver.post("/api/contact/add-friend", username=sender["username"])

    async def write() -> None:
        await send(world.sender, receiver["id"], str(uuid.uuid4()))
        await asyncio.sleep(0.5)

    async with repeating(write):
        world.push_service.answer = lambda request: Answer(403)
        await wait(world.prometheus, {"PushesFail"})
        world.push_service.answer = lambda request: Answer()
        await wait(world.prometheus, set(), {"PushesFail"})


@contextmanager
def backends_frozen(running: Everything, service: str) -> Iterator[None]:
    """Those of PostgreSQL that the service has connections to now, as when they wait for a disk that does not answer.
    PostgreSQL takes new connections."""
    settings = json.loads((running.var / "settings" / f"{service}.json").read_bytes())
    with psycopg.connect(settings[f"HITOK_{service.upper()}_POSTGRES_URL"]) as connection:
        pids = [pid for (pid,) in connection.execute(BACKENDS).fetchall()]
    signal_all(pids, signal.SIGSTOP)
    try:
        yield
    finally:
        signal_all(pids, signal.SIGCONT)


async def test_tasks_whose_statements_are_never_answered_until_they_are(world: World) -> None:
    await wait(world.prometheus, set(), {"BackgroundTaskStalled"})
    with backends_frozen(world.running, "chat"):
        await wait(world.prometheus, {"BackgroundTaskStalled"}, seconds=STALL_SECONDS)
    await wait(world.prometheus, set(), {"BackgroundTaskStalled"}, seconds=STALL_SECONDS)  # one sleeps for a minute
