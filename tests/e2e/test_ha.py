"""Any one node may die: kill -9 of one at a random moment, round after round, under load.

`make ha` kills HITOK_HA_ROUNDS nodes of each kind, in an order by HITOK_HA_SEED (HITOK_HA_NODES: only kinds that
match the expression).
"""

import asyncio
import json
import os
import random
import re
import signal
import time
import uuid
from collections import Counter
from collections.abc import Awaitable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import httpx
import psycopg
import pytest

from deploy.local.ha.topology import MEMBERS, NATS, POSTGRES, SENTINELS, VALKEY
from deploy.local.services import SERVICES, replicate
from services.kit.background import cancel
from tests.e2e.balancer import balancing
from tests.e2e.everything import Everything, everything
from tests.e2e.people import Person, register
from tests.e2e.test_replicas import NEVER
from tests.support.servers import find_family, temporary_folder
from tests.support.user import mailed_code
from tests.support.video_people import URL

ROUNDS = int(os.environ.get("HITOK_HA_ROUNDS", "0"))
SEED = int(os.environ.get("HITOK_HA_SEED", "0")) or random.SystemRandom().randrange(2**32)
ONLY = re.compile(os.environ.get("HITOK_HA_NODES", ""))
BACK_SECONDS = 15
CHECKED_EVERY = 20  # rounds
PAUSE = 0.05  # seconds between two writes of a kind
STEADY_SECONDS = 3.0  # without a failure, until a round is over
GIVE_UP_SECONDS = 60.0

pytestmark = pytest.mark.skipif(not ROUNDS, reason="set HITOK_HA_ROUNDS, or run make ha")


async def test_any_one_node_may_die() -> None:
    """No acknowledged write is lost or doubled, and all works again within 15 s."""
    print(f"seed {SEED}")
    chance = random.Random(SEED)
    nodes = choose_nodes(chance)
    with (
        temporary_folder() as folder,
        everything(folder / "var", replicas=2, ha=True, HITOK_QUEUE_SECONDS=NEVER) as running,
        stopping(running),
    ):
        async with balancing(running.gateways) as http:
            alice, ben = [await register(http, lambda address: mailed_code(running.var, address)) for _ in range(2)]
            await ben.post("/api/contact/add-friend", username=alice.name)
            await alice.post("/api/contact/add-friend", username=ben.name)
            writers = Writers(alice, ben)
            await writers.prepare()
            writing = asyncio.create_task(writers.run())
            slow = []
            for number, node in enumerate(nodes, 1):
                await asyncio.sleep(chance.random())
                took = await kill(running, node, writers)
                print(f"{number:3} of {len(nodes)}: {node:10} back after {took:.1f} s", flush=True)
                if took > BACK_SECONDS:
                    slow.append((node, took))
                if not number % CHECKED_EVERY:
                    writers.check(running)
            await cancel(writing)
            writers.check(running)
            print(f"{len(writers.sent)} messages, {len(writers.commented)} comments acknowledged")
            assert not slow


def choose_nodes(chance: random.Random) -> list[str]:
    """A random one of each kind, ROUNDS times, in a random order."""
    services = [[replica.label for replica in replicate([service], 2)] for service in SERVICES]
    kinds = [kind for kind in (MEMBERS, POSTGRES, VALKEY, SENTINELS, NATS, *services) if ONLY.search(kind[0])]
    nodes = [chance.choice(kind) for kind in kinds for _ in range(ROUNDS)]
    chance.shuffle(nodes)
    return nodes


@contextmanager
def stopping(running: Everything) -> Iterator[None]:
    """Ends it by a signal: PostgreSQL outlives a Patroni that is killed."""
    try:
        yield
    finally:
        running.stop()


async def kill(running: Everything, node: str, writers: "Writers") -> float:
    """Kills the node; returns the seconds until the last failure that followed, once it runs again."""
    old = running.pid_of(node)
    pids = find_family(old)
    if node in POSTGRES:
        with suppress(FileNotFoundError):  # Patroni has just stopped it
            lines = (running.var / "ha" / node / "data" / "postmaster.pid").read_text().splitlines()
            pids += find_family(int(lines[0]))
    killed = time.monotonic()
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    while time.monotonic() < killed + GIVE_UP_SECONDS:
        await asyncio.sleep(0.1)
        quiet = time.monotonic() - max(killed, writers.failed_at)
        if quiet > STEADY_SECONDS and running.pid_of(node) != old and writers.all_wrote_since(killed):
            break
    return max(0.0, writers.failed_at - killed)


class Writers:
    """Messages that are sent again until they are acknowledged; comments that are not; reads; tickets, from Valkey."""

    def __init__(self, alice: Person, ben: Person) -> None:
        self.sent: set[str] = set()
        self.commented: set[str] = set()
        self.failed_at = 0.0
        self._alice, self._ben = alice, ben
        self._wrote_at: dict[str, float] = {}
        self._to = self._video = ""

    async def prepare(self) -> None:
        self._to = (await self._alice.get("/api/user/get-my-info"))["id"]
        await self._ben.post("/api/videos/create-video", video_path=URL, title="clip")
        self._video = (await self._ben.get("/api/videos/user-videos"))["data"][0]["id"]

    def all_wrote_since(self, moment: float) -> bool:
        return len(self._wrote_at) == 4 and min(self._wrote_at.values()) > moment

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            for writer in (self._send, self._comment, self._read, self._get_ticket):
                tasks.create_task(writer())

    async def _send(self) -> None:
        while True:
            name = str(uuid.uuid4())
            body = {"to": {"user_id": self._to}, "client_msg_id": name, "content_type": "text", "body": {"text": name}}
            while not await self._try("send", self._ben.post("/api/chat/send", **body)):  # noqa: ASYNC110
                await asyncio.sleep(PAUSE)
            self.sent.add(name)
            await asyncio.sleep(PAUSE)

    async def _comment(self) -> None:
        while True:
            name = str(uuid.uuid4())
            commenting = self._alice.post("/api/videos/comment-video", video_id=self._video, content=name)
            if await self._try("comment", commenting):
                self.commented.add(name)
            await asyncio.sleep(PAUSE)

    async def _read(self) -> None:
        while True:
            await self._try("read", self._alice.get("/api/videos"))
            await asyncio.sleep(PAUSE)

    async def _get_ticket(self) -> None:
        while True:
            await self._try("ticket", self._alice.get("/api/chat/ws-ticket"))
            await asyncio.sleep(PAUSE)

    async def _try(self, kind: str, call: Awaitable[Any]) -> bool:
        try:
            await call
        except (AssertionError, httpx.HTTPError, ValueError, ZeroDivisionError):
            self.failed_at = time.monotonic()
            return False
        self._wrote_at[kind] = time.monotonic()
        return True

    def check(self, running: Everything) -> None:
        """Compares with the databases, which hold nothing else."""
        sent, commented = self.sent.copy(), self.commented.copy()
        assert_once(sent, column(running, "chat", "SELECT client_msg_id FROM message"))
        assert_once(commented, column(running, "media", "SELECT content::json #>> '{}' FROM comment"))


def column(running: Everything, service: str, sql: str) -> list[str]:
    settings = json.loads((running.var / "settings" / f"{service}.json").read_bytes())
    with psycopg.connect(settings[f"HITOK_{service.upper()}_POSTGRES_URL"]) as connection:
        return [str(value) for (value,) in connection.execute(sql.encode())]


def assert_once(acknowledged: set[str], found: Sequence[str]) -> None:
    counts = Counter(found)
    assert not acknowledged - counts.keys(), "an acknowledged write is lost"
    assert max(counts.values()) == 1, "a write was doubled"
