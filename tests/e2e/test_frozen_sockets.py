"""Sockets of a gateway that was frozen for 12 s are still open when it goes on, and miss nothing (`make chaos`)."""

import asyncio
import os
import random
import re
import uuid

import httpx
import pytest

from services.kit.background import cancel
from tests.e2e.chaos.faults import freezing
from tests.e2e.chaos.table import ROWS, Row
from tests.e2e.everything import everything
from tests.e2e.people import register_by_phone
from tests.e2e.test_replicas import heard, send
from tests.support.device import Device
from tests.support.servers import temporary_folder

ROUNDS = int(os.environ.get("HITOK_CHAOS_ROUNDS", "0"))
SECONDS, SOCKETS = 12.0, 8
NAME = "freeze gateway sockets"

pytestmark = pytest.mark.skipif(
    not ROUNDS or not re.search(os.environ.get("HITOK_CHAOS_FAULTS", ""), NAME), reason="make chaos freezes it"
)


async def test_they_survive_and_hear_what_was_sent() -> None:
    freeze, dice, sent = freezing("gateway", SECONDS, SECONDS), random.Random(1), set[str]()
    with temporary_folder() as folder, everything(folder / "var", 1, HITOK_NETWORK_SOCKETS="0") as running:
        async with httpx.AsyncClient(base_url=running.urls[0], timeout=30) as http:
            alice, ben = [(await register_by_phone(http))[0] for _ in range(2)]
            people = [await person.get("/api/user/get-my-info") for person in (alice, ben)]
            await ben.post("/api/contact/add-friend", username=people[0]["username"])
            await alice.post("/api/contact/add-friend", username=people[1]["username"])
            sent.add(id := str(uuid.uuid4()))
            first = await send(ben, people[0]["id"], id)
            devices = [Device(int(people[0]["id"]), alice.token, running.urls[:1], dice) for _ in range(SOCKETS)]
            living = [asyncio.create_task(device.live()) for device in devices]
            for device in devices:  # an answer that one waits for would be given up
                await heard(device, first["conversation_id"], sent)
            for _ in range(ROUNDS):
                frozen = asyncio.ensure_future(freeze(running, dice))
                await asyncio.sleep(1)
                sent.add(id := str(uuid.uuid4()))
                await asyncio.gather(frozen, send(ben, people[0]["id"], id))
                for device in devices:
                    await heard(device, first["conversation_id"], sent)
            await asyncio.gather(*map(cancel, living))
    opened, resyncs = [device.connections for device in devices], [device.resyncs for device in devices]
    ROWS.append(Row(NAME, ROUNDS, len(sent), remarks=[f"{SOCKETS} sockets, opened {opened}, resyncs {resyncs}"]))
    assert opened == [1] * SOCKETS
    assert not any(device.failures for device in devices)
