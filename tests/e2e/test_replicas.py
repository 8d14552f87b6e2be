"""Two of every process: each is restarted in turn, and no client notices.

`make chaos` does so HITOK_CHAOS_ROUNDS times (if HITOK_CHAOS_FAULTS matches "rolling restart"). The suite does it once.
"""

import asyncio
import os
import random
import re
import signal
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from deploy.local.services import SERVICES, replicate
from services.kit.background import cancel
from tests.e2e.balancer import balancing
from tests.e2e.chaos.table import ROWS, Row
from tests.e2e.everything import Everything, everything
from tests.e2e.people import Person, register
from tests.support.device import Device
from tests.support.gateway import FrontEnd
from tests.support.servers import temporary_folder
from tests.support.user import mailed_code
from tests.support.video_people import URL

NAME = "rolling restart"
ROUNDS = int(os.environ.get("HITOK_CHAOS_ROUNDS", "0"))  # 0: once, as short as it can be
RATE = 200  # requests per second
SOCKETS = 4 if ROUNDS else 1
NEVER = "0"  # refuse for overload: while processes start, two cores are busy, which is not what is tested


@pytest.mark.skipif(not re.search(os.environ.get("HITOK_CHAOS_FAULTS", ""), NAME), reason="not one of those asked for")
async def test_each_process_restarted_in_turn_under_load_fails_no_request() -> None:
    settings = {"HITOK_DRAIN_SECONDS": "3", "HITOK_QUEUE_SECONDS": NEVER}
    with temporary_folder() as folder, everything(folder / "var", 2, ha=False, **settings) as running:
        async with balancing(running.gateways) as http:
            alice, ben = [await register(http, lambda address: mailed_code(running.var, address)) for _ in range(2)]
            await ben.post("/api/contact/add-friend", username=alice.name)
            await alice.post("/api/contact/add-friend", username=ben.name)
            user_id = (await alice.get("/api/user/get-my-info"))["id"]
            conversation = (await send(ben, user_id, str(uuid.uuid4())))["conversation_id"]
            await ben.post("/api/videos/create-video", video_path=URL, title="clip")
            devices = [Device(int(user_id), alice.token, running.gateways, random.Random(n)) for n in range(SOCKETS)]
            living = [asyncio.create_task(device.live()) for device in devices]
            load = Load(http, alice, ben)
            loading = asyncio.create_task(load.run())
            ROWS.append(row := Row(NAME))
            for _ in range(ROUNDS or 1):
                for service in replicate(SERVICES, 2):
                    await restart(running, service.label)
                row.rounds += 1
                print(f"{NAME}: round {row.rounds}, {load.done} requests, failed: {load.failures[:5]}", flush=True)
            load.stop()
            await loading
            row.acked = load.done
            row.remarks = [f"{load.done / load.seconds:.0f}/s, {len(load.failures)} failed, {SOCKETS} sockets"]
            logs = [await heard(device, conversation, load.sent) for device in devices]
            await asyncio.gather(*map(cancel, living))
            for device in devices:
                device.stop()
        errors = [line for line in running.logs().splitlines() if '"level": "error"' in line]
    assert not load.failures, errors
    assert load.done > 1_000
    for device, log in zip(devices, logs, strict=True):
        assert device.connections > 1, "it was never told to go"
        assert not device.failures
        assert max(Counter(log).values()) == 1


async def restart(running: Everything, label: str) -> None:
    """As an orchestrator does: sends SIGTERM, and waits until the new process is healthy."""
    old = running.pid_of(label)
    os.kill(old, signal.SIGTERM)
    async with asyncio.timeout(60):
        while running.pid_of(label) == old:  # noqa: ASYNC110
            await asyncio.sleep(0.1)


async def send(sender: FrontEnd, user_id: str, id: str) -> Any:
    body = {"to": {"user_id": user_id}, "client_msg_id": id, "content_type": "text", "body": {"text": "x"}}
    return await sender.post("/api/chat/send", **body)


class Load:
    """Reads and writes of every service, `rate` per second, whatever the answers."""

    def __init__(self, http: httpx.AsyncClient, alice: Person, ben: Person, rate: float = RATE) -> None:
        self.failures: list[str] = []
        self.sent: set[str] = set()
        self.done = 0
        self.seconds = 0.0
        self._http, self._alice, self._ben, self._rate = http, alice, ben, rate
        self._going = True

    def stop(self) -> None:
        self._going = False

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        started, number = loop.time(), 0
        actions = await self._actions()
        async with asyncio.TaskGroup() as tasks:
            while self._going:
                tasks.create_task(self._try(actions[number % len(actions)]))
                number += 1
                await asyncio.sleep(max(0.0, started + number / self._rate - loop.time()))
        self.seconds = loop.time() - started

    async def _actions(self) -> list[Callable[[], Awaitable[Any]]]:
        alice, ben = self._alice, self._ben
        video = (await ben.get("/api/videos/user-videos"))["data"][0]["id"]
        user_id = (await alice.get("/api/user/get-my-info"))["id"]

        async def message() -> None:
            id = str(uuid.uuid4())
            await send(ben, user_id, id)
            self.sent.add(id)

        return [
            lambda: alice.get("/api/user/get-my-info"),
            lambda: alice.get("/api/videos"),
            message,
            lambda: ben.post("/api/contact/get-friend-list"),
            lambda: alice.post("/api/videos/like-video", video_id=video),
            lambda: alice.get("/api/chat/conversations"),
            lambda: ben.post("/api/user/set-profile", bio="here"),
            lambda: alice.post("/api/videos/comment-video", video_id=video, content="hi"),
        ]

    async def _try(self, action: Callable[[], Awaitable[Any]]) -> None:
        try:
            await action()
            self.done += 1
        except Exception as error:
            self.failures.append(repr(error))


async def heard(device: Device, conversation: str, ids: set[str]) -> list[str]:
    """All that the device has of the conversation, once it has those."""
    async with asyncio.timeout(20):
        while True:
            messages = device.conversations[conversation].messages if conversation in device.conversations else {}
            if ids <= {message["client_msg_id"] for message in messages.values()}:
                assert sorted(messages) == list(range(1, len(messages) + 1))
                return [message["client_msg_id"] for message in messages.values()]
            await asyncio.sleep(0.1)
