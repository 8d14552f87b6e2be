"""Two of every process: each is restarted in its turn, and nobody notices."""

import asyncio
import os
import signal
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import httpx
from websockets.exceptions import ConnectionClosed

from deploy.local.services import SERVICES, replicate
from tests.e2e.balancer import Balancer, balancing
from tests.e2e.everything import Everything, everything
from tests.e2e.people import Person, register
from tests.support.servers import temporary_folder
from tests.support.sockets import Socket, open_socket
from tests.support.user import mailed_code
from tests.support.video_people import URL

RATE = 200  # requests a second


async def test_each_process_restarted_in_turn_under_load_fails_no_request() -> None:
    with temporary_folder() as folder, everything(folder / "var", replicas=2, HITOK_DRAIN_SECONDS="3") as running:
        async with balancing(running.gateways) as (balancer, http):
            alice, ben = [await register(http, lambda address: mailed_code(running.var, address)) for _ in range(2)]
            await ben.post("/api/contact/add-friend", username=alice.name)
            user_id = (await alice.get("/api/user/get-my-info"))["id"]
            conversation = (await send(ben, user_id, str(uuid.uuid4())))["conversation_id"]
            await ben.post("/api/videos/create-video", video_path=URL, title="clip")
            listener = Listener(alice.token, conversation, balancer)
            listening = asyncio.create_task(listener.listen())
            load = Load(http, alice, ben)
            loading = asyncio.create_task(load.run())
            for service in replicate(SERVICES, 2):
                await restart(running, service.label)
            load.stop()
            await loading
            print(f"{load.done} requests, {load.done / load.seconds:.0f}/s")
            await listener.heard(load.sent)
            listening.cancel()
            with suppress(asyncio.CancelledError):
                await listening
    assert not load.failures
    assert load.done > 1_000
    assert listener.hellos > 1, "it was never told to go"
    assert sorted(listener.log) == list(range(1, len(listener.log) + 1))
    assert Counter(listener.log.values()).keys() >= load.sent and max(Counter(listener.log.values()).values()) == 1


async def restart(running: Everything, label: str) -> None:
    """As an orchestrator does: SIGTERM, and on when the new one is healthy."""
    old = running.pid_of(label)
    os.kill(old, signal.SIGTERM)
    async with asyncio.timeout(60):
        while running.pid_of(label) == old:  # noqa: ASYNC110
            await asyncio.sleep(0.1)


async def send(sender: Person, user_id: str, id: str) -> Any:
    body = {"to": {"user_id": user_id}, "client_msg_id": id, "content_type": "text", "body": {"text": "x"}}
    return await sender.post("/api/chat/send", **body)


class Load:
    """Reads and writes of every service, at a steady rate whatever the answers."""

    def __init__(self, http: httpx.AsyncClient, alice: Person, ben: Person) -> None:
        self.failures: list[str] = []
        self.sent: set[str] = set()
        self.done = 0
        self.seconds = 0.0
        self._http, self._alice, self._ben = http, alice, ben
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
                await asyncio.sleep(max(0.0, started + number / RATE - loop.time()))
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


class Listener:
    """Keeps one log over as many sockets as it takes, by the rule of docs/chat-protocol.md."""

    def __init__(self, token: str, conversation: str, balancer: Balancer) -> None:
        self._token, self._conversation, self._balancer = token, conversation, balancer
        self.log: dict[int, str] = {}
        self.hellos = 0
        self._known = 0

    async def listen(self) -> None:
        while True:
            url, cursors = self._balancer.choose(), {self._conversation: self._known}
            try:
                async with open_socket(url, self._token, cursors) as socket:
                    self.hellos += 1
                    await self._follow(socket)
            except (OSError, ConnectionClosed):
                await asyncio.sleep(0.2)

    async def _follow(self, socket: Socket) -> None:
        """Until it is told to go."""
        while True:
            frame = socket.seen.pop(0) if socket.seen else await socket.receive()
            if frame["type"] == "goaway":
                return
            await self._take(socket, frame)

    async def _take(self, socket: Socket, frame: dict[str, Any]) -> None:
        data = frame["data"]
        if frame["type"] == "sync":
            self._take_sync(data)
        elif frame["type"] == "message" and data["rev"] > self._known:
            if data["rev"] > self._known + 1:
                self._take_sync(await socket.ask("sync", conversation_id=self._conversation, from_rev=self._known))
            self._note(data)

    def _take_sync(self, part: dict[str, Any]) -> None:
        for message in part["messages"]:
            self._note(message)
        self._known = max(self._known, part["to_rev"])

    def _note(self, message: dict[str, Any]) -> None:
        self.log[message["seq"]] = message["client_msg_id"]
        self._known = max(self._known, message["rev"])

    async def heard(self, ids: set[str]) -> None:
        async with asyncio.timeout(20):
            while not ids <= set(self.log.values()):  # noqa: ASYNC110
                await asyncio.sleep(0.1)
