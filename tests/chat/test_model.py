"""The chat's guarantee while its servers and processes are killed: twenty clients over two gateways act at random, from
a printed seed. In the end all have the same log, and each acknowledged message is in it once.

`make soak` runs it for HITOK_SOAK_SECONDS, with the seed HITOK_SOAK_SEED if that is set.
"""

import asyncio
import os
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from itertools import pairwise
from typing import Any

import grpc.aio
import pytest

from protos.chat.v1 import conversations_pb2 as pb
from services.kit.context import Caller
from tests.chat.fleet import Fleet, running_fleet
from tests.support import social as graph
from tests.support.chat import listed
from tests.support.device import Device, Refused
from tests.support.servers import temporary_folder
from tests.support.user import acting, new_phone, phone_account

CLIENTS = 20
SECONDS = float(os.environ.get("HITOK_SOAK_SECONDS", "3"))  # of each test
SEED = int(os.environ.get("HITOK_SOAK_SEED", "0")) or random.randrange(2**32)
PACE = 0.01  # seconds between two steps
CALM = 60.0  # seconds in which all must be well again: more than the gateway's look at what it may have missed

Fault = Callable[[random.Random], Awaitable[None]]


@pytest.fixture(scope="module")
async def fleet() -> AsyncIterator[Fleet]:
    with temporary_folder() as folder:
        async with running_fleet(folder, random.Random(SEED)) as fleet:
            yield fleet


class World:
    """The clients and their conversations: one group of all, one of some, and some pairs."""

    def __init__(self, fleet: Fleet, devices: list[Device], targets: dict[int, list[dict[str, str]]]) -> None:
        self.fleet, self.devices, self.targets = fleet, devices, targets
        self.steps = 0

    def step(self, dice: random.Random) -> Awaitable[None] | None:
        """Performs the next action of one client."""
        self.steps += 1
        device = dice.choice(self.devices)
        what = dice.choices(["send", "burst", "repeat", "edit", "recall", "read", "leave", "come"], STEPS)[0]
        match what:
            case "send":
                return device.send(dice.choice(self.targets[device.user_id]), {"text": f"{self.steps}"})
            case "burst":
                to = dice.choice(self.targets[device.user_id])
                return gather(device.send(to, {"text": f"{self.steps}:{n}"}) for n in range(5))
            case "repeat" if device.acked:
                return device.repeat(dice.choice(list(device.acked)))
            case "edit" | "recall" if device.acked:
                ack = device.acked[dice.choice(list(device.acked))]
                body = {"text": f"edited {self.steps}"} if what == "edit" else None
                return device.change(ack["conversation_id"], ack["seq"], body)
            case "read" if device.conversations:
                id = dice.choice(list(device.conversations))
                seqs = device.conversations[id].messages
                return device.mark_read(id, dice.choice(list(seqs))) if seqs else None
            case "leave":
                return device.leave(rudely=dice.random() < 0.5)
            case "come":
                for each in self.devices:
                    each.come()
        return None


STEPS = [40, 4, 8, 8, 4, 20, 6, 10]


async def gather(work: Any) -> None:
    await asyncio.gather(*work)


async def new_world(fleet: Fleet, dice: random.Random) -> World:
    tokens = [await phone_account(fleet.users, new_phone()) for _ in range(CLIENTS)]
    ids = [issued.user_id for issued in tokens]
    groups = [ids, dice.sample(ids, 6)]
    targets: dict[int, list[dict[str, str]]] = {id: [] for id in ids}
    for members in groups:
        group_id = await graph.group_with(fleet.social, *members, approval=False)
        for member in members:
            targets[member].append({"group_id": str(group_id)})
    for one, other in pairwise(dice.sample(ids, 8)):
        await graph.add(fleet.social, one, other)
        await graph.add(fleet.social, other, one)  # else the first messages would wait for an answer
        targets[one].append({"user_id": str(other)})
        targets[other].append({"user_id": str(one)})
    devices = [Device(issued.user_id, issued.atoken, fleet.urls, dice) for issued in tokens]
    async with asyncio.timeout(CALM):  # until the chat knows the members, messages reach only those it knows
        for id in ids:
            groups_of = sum("group_id" in target for target in targets[id])
            while sum(bool(row.group_id) for row in await listed(fleet.chat, id)) < groups_of:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
    return World(fleet, devices, targets)


async def play(world: World, dice: random.Random, seconds: float, faults: dict[str, Fault]) -> None:
    """Causes each fault at least once, one after the other, while the clients go on."""
    lives = [asyncio.create_task(device.live()) for device in world.devices]
    work: set[asyncio.Task[None]] = set()
    failures: list[BaseException] = []

    def done(task: asyncio.Task[None]) -> None:
        work.discard(task)
        if failure := task.exception():
            failures.append(failure)

    ends = time.monotonic() + seconds
    suffering = asyncio.create_task(suffer(dice, ends, faults))
    while not suffering.done():
        await asyncio.sleep(PACE)
        if step := world.step(dice):
            task = asyncio.create_task(bear(step))
            work.add(task)
            task.add_done_callback(done)
    await suffering
    await asyncio.gather(*work)
    for device in world.devices:  # also those that were about to leave
        device.come()
    assert not failures, f"seed {SEED}: {failures}"
    await settled(world)
    for life in lives:
        life.cancel()
    await asyncio.gather(*lives, return_exceptions=True)


async def suffer(dice: random.Random, ends: float, faults: dict[str, Fault]) -> None:
    while True:
        for name in dice.sample(sorted(faults), len(faults)):
            print(f"{max(ends - time.monotonic(), 0):6.1f} s left: {name}", flush=True)
            await faults[name](dice)
            await asyncio.sleep(dice.random() / 2)
        if time.monotonic() > ends:
            return


async def bear(step: Awaitable[None]) -> None:
    """Allows a request to fail while something is away, and checks the reason."""
    try:
        await step
    except ConnectionError:
        pass
    except Refused as refused:
        if not refused.data["retryable"] and refused.data["code"] != "forbidden":  # recalled meanwhile
            raise


async def settled(world: World) -> None:
    """Waits until all messages are acknowledged and each client has everything without being told to look."""
    ends = time.monotonic() + CALM
    while late := [why for device in world.devices if (why := await lag(world, device))]:
        assert time.monotonic() < ends, f"seed {SEED}: {late}"
        await asyncio.sleep(0.1)


async def lag(world: World, device: Device) -> str:
    assert not device.failures, f"seed {SEED}: {device.failures}"
    if not device.is_live or device.unsent:
        return f"{device.user_id}: live {device.is_live}, {len(device.unsent)} unsent"
    ids = [int(id) for id in device.conversations]
    try:
        with acting(Caller()):
            found = await world.fleet.chat.conversations.BatchGetRevs(pb.BatchGetRevsRequest(conversation_ids=ids))
    except grpc.aio.AioRpcError as error:  # it was killed last
        return repr(error.code())
    behind = {
        row.conversation_id: row.rev
        for row in found.revs
        if device.conversations[str(row.conversation_id)].known != row.rev
    }
    return f"{device.user_id} behind {behind}" if behind else ""


async def judge(world: World) -> None:
    logs: dict[str, dict[int, Any]] = {}
    for device in world.devices:
        fresh = Device(device.user_id, device.token, world.fleet.urls, device.dice)
        life = asyncio.create_task(fresh.live())
        await asyncio.wait_for(fresh.ready.wait(), 20)
        assert fresh.listed.keys() == device.conversations.keys()
        for id, row in fresh.listed.items():
            log = await fresh.history(id)
            assert sorted(log) == list(range(1, row["last_seq"] + 1))
            assert device.conversations[id].messages == log, "what was kept and what came is what there is"
            assert logs.setdefault(id, log) == log, "the same for every member"
            judge_unread(device, row, log)
        life.cancel()
        fresh.stop()
        device.stop()
    for log in logs.values():
        keys = [message["client_msg_id"] for message in log.values()]
        assert len(set(keys)) == len(keys)
    for device in world.devices:
        for id, ack in device.acked.items():
            message = logs[ack["conversation_id"]][ack["seq"]]
            assert (message["client_msg_id"], message["sender_id"]) == (id, str(device.user_id))
        for conversation_id, ack, body in device.changed:
            message = logs[conversation_id][ack["seq"]]
            assert message["rev"] >= ack["rev"]
            assert message["rev"] > ack["rev"] or message["body"] == body


def judge_unread(device: Device, row: dict[str, Any], log: dict[int, Any]) -> None:
    id, read_seq = row["conversation_id"], row["read_seq"]
    assert device.read.get(id, 0) <= read_seq <= device.tried.get(id, 0)
    unread = [
        seq
        for seq, message in log.items()
        if seq > read_seq and message["sender_id"] != str(device.user_id) and "recalled_at" not in message
    ]
    assert row["unread"] == min(len(unread), 100)


@pytest.mark.parametrize("what", ["faults", "disturbances"])
async def test_everybody_has_what_was_acknowledged_once_and_in_order(fleet: Fleet, what: str) -> None:
    print(f"HITOK_SOAK_SEED={SEED}", flush=True)
    dice = random.Random(f"{SEED} {what}")
    world = await new_world(fleet, dice)
    await play(world, dice, SECONDS, getattr(fleet, what))
    await judge(world)
    acked = sum(len(device.acked) for device in world.devices)
    connections = sum(device.connections for device in world.devices)
    print(f"{world.steps} steps, {acked} messages, {connections} connections", flush=True)
    assert acked > CLIENTS
