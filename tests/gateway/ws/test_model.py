"""Random users over two gateways, from a printed seed: each log holds exactly what was acknowledged, in order."""

import asyncio
import os
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

from tests.gateway.chat_stage import Stage, gateway_of, running_stage
from tests.gateway.people import Person
from tests.support.servers import Servers
from tests.support.sockets import Refusal, Socket, raw_socket, say_hello
from tests.support.user import Running

STEPS = int(os.environ.get("HITOK_SOAK_STEPS", "60"))
CLIENTS = 6


@pytest.fixture(scope="module")
async def stages(servers: Servers, user: Running) -> AsyncIterator[list[Stage]]:
    async with running_stage(servers, user) as one, gateway_of(one.chat, servers, user) as two:
        yield [one, two]


class Client:
    """Keeps the rule of docs/chat-protocol.md: the next rev is applied, an old one dropped, a later one held."""

    def __init__(self, person: Person, conversation: int) -> None:
        self.person, self.conversation = person, str(conversation)
        self.log: dict[int, str] = {}
        self.known = 0
        self.unacked: dict[str, str] = {}
        self.acked: set[str] = set()
        self._exits = AsyncExitStack()
        self.socket: Socket | None = None

    async def connect(self, stage: Stage) -> None:
        await self.disconnect()
        self.socket = await self._exits.enter_async_context(raw_socket(stage.url))
        await say_hello(self.socket, token=self.person.token, cursors={self.conversation: self.known})
        for id, text in list(self.unacked.items()):
            await self.send(id, text)

    async def disconnect(self, rudely: bool = False) -> None:
        if self.socket and rudely:
            self.socket.ws.transport.abort()
        await self._exits.aclose()
        self._exits, self.socket = AsyncExitStack(), None

    async def send(self, id: str, text: str) -> None:
        self.unacked[id] = text
        if self.socket:
            try:
                await self.socket.send(text, client_msg_id=id, conversation_id=self.conversation)
                self.acked.add(id)
                del self.unacked[id]
            except (ConnectionClosed, Refusal):
                pass

    async def catch_up(self, stage: Stage | None = None) -> None:
        """Applies what has arrived, with `stage` all that was pushed until now; asks for what is missing between."""
        if self.socket is None:
            return
        held = {}
        for frame in await (stage.pushed(self.socket, self.person) if stage else self.socket.drain(0.0)):
            if frame["type"] == "message":
                held[frame["data"]["rev"]] = frame["data"]
            elif frame["type"] == "sync":
                self._take_sync(frame["data"])
        while held:
            data = held.pop(min(held))
            if data["rev"] > self.known + 1:
                self._take_sync(await self.socket.ask("sync", conversation_id=self.conversation, from_rev=self.known))
            self._take(data)

    def _take_sync(self, part: dict[str, Any]) -> None:
        assert not part["limited"]
        for message in part["messages"]:
            self._take(message, synced=True)
        self.known = max(self.known, part["to_rev"])

    def _take(self, data: dict[str, Any], synced: bool = False) -> None:
        if data["rev"] <= self.known:
            return
        assert synced or data["rev"] == self.known + 1
        assert data["seq"] not in self.log
        self.log[data["seq"]] = data["client_msg_id"]
        self.known = data["rev"]


async def take_step(step: int, dice: random.Random, clients: list[Client], stages: list[Stage]) -> None:
    client, chat = dice.choice(clients), stages[0].chat
    match dice.choices(["send", "burst", "retry", "leave", "cut", "come", "lose", "read"], [8, 2, 3, 1, 2, 4, 1, 4])[0]:
        case "send":
            await client.send(f"{step}", f"{step}")
        case "burst":
            await asyncio.gather(*(other.send(f"{step}:{n}", "x") for n, other in enumerate(clients)))
        case "retry" if client.acked:
            await client.send(dice.choice(sorted(client.acked)), "again")
        case "leave" | "cut" as how:
            await client.disconnect(rudely=how == "cut")
        case "come":
            await client.connect(dice.choice(stages))
        case "lose":
            chat.mute = True
            await client.send(f"{step}", "x")
            chat.mute = False
        case "read":
            await client.catch_up()


async def test_every_log_is_what_was_acknowledged_in_order(stages: list[Stage]) -> None:
    seed = int(os.environ.get("HITOK_SEED", "0")) or random.randrange(2**32)
    print(f"HITOK_SEED={seed}")
    dice, chat = random.Random(seed), stages[0].chat
    people = await stages[0].people(CLIENTS)
    conversation = chat.create(*(int(person.id) for person in people))
    clients = [Client(person, conversation) for person in people]
    for client in clients:
        await client.connect(dice.choice(stages))
    for step in range(STEPS):
        await take_step(step, dice, clients, stages)
    for client in clients:
        if client.socket is None or client.unacked:
            await client.connect(dice.choice(stages))
    await clients[0].send("last", "x")  # what got lost before shows by the next event
    for client in clients:
        await client.catch_up(stages[0])
        await client.disconnect()
    truth = {message.seq: message.client_msg_id for message in chat.conversations[conversation].messages}
    assert len(set(truth.values())) == len(truth)
    for client in clients:
        assert not client.unacked
        assert client.acked <= set(truth.values())
        assert client.log == truth, f"seed {seed}"
