"""A change through one gateway shows at the others at once: their caches follow the services' events."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from nats.aio.client import Client as Nats

from services.kit.nats import open_nats
from tests.gateway.people import Person, by_email
from tests.support.clock import stopped
from tests.support.gateway import FrontEnd, RunningGateway, gateway_settings, running_gateway, until_it_hears
from tests.support.servers import Servers
from tests.support.user import Running


@pytest.fixture(scope="module")
async def second_gateway(servers: Servers, user: Running) -> AsyncIterator[RunningGateway]:
    async with running_gateway(gateway_settings(servers, HITOK_USER_TARGET=user.target)) as running:
        await until_it_hears(running)
        yield running


@pytest.fixture(scope="module")
async def nats(servers: Servers) -> AsyncIterator[Nats]:
    async with open_nats(servers.nats_url, "test") as client:
        while not client.is_connected:  # noqa: ASYNC110 (the client has no event for it)
            await asyncio.sleep(0.01)
        yield client


@pytest.fixture(scope="module")
async def deaf_gateway(servers: Servers, user: Running) -> AsyncIterator[RunningGateway]:
    away = gateway_settings(servers, HITOK_USER_TARGET=user.target, HITOK_NATS_URL="nats://127.0.0.1:1")
    async with running_gateway(away) as running:
        yield running


async def test_a_profile_changed_at_one_gateway_shows_at_another(
    gateway: RunningGateway, second_gateway: RunningGateway, user: Running
) -> None:
    alice, bob = [await by_email(gateway.http, user) for _ in range(2)]
    there = FrontEnd(second_gateway.http, bob.token)
    with stopped(second_gateway.container.cards):  # so it changes only because it was told
        for number in range(3):
            await there.get("/api/user/get-user-info", id=alice.id)
            await alice.post("/api/user/set-profile", bio=f"bio {number}")
            async with asyncio.timeout(30):
                while await bio_of(alice.id, there) != f"bio {number}":  # noqa: ASYNC110
                    await asyncio.sleep(0.01)


async def test_a_gateway_that_hears_nothing_shows_it_a_second_later(
    gateway: RunningGateway, deaf_gateway: RunningGateway, user: Running
) -> None:
    alice, bob = [await by_email(gateway.http, user) for _ in range(2)]
    there = FrontEnd(deaf_gateway.http, bob.token)
    with stopped(deaf_gateway.container.cards) as clock:
        before = await bio_of(alice.id, there)
        await alice.post("/api/user/set-profile", bio="another")
        assert await bio_of(alice.id, there) == before
        clock.advance(1)
        assert await bio_of(alice.id, there) == "another"


async def bio_of(user_id: str, front: FrontEnd) -> str:
    return str((await front.get("/api/user/get-user-info", id=user_id))["bio"])


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"{not json",
        b"[]",
        b'{"id":1}',
        b"\xff",
        {"data": {}},
        {"data": {"user_id": "x"}},
        {"data": {"session_ids": 1, "user_id": "1"}},
    ],
    ids=repr,
)
async def test_a_message_it_cannot_read_makes_it_deaf_to_none_after(
    gateway: RunningGateway, second_gateway: RunningGateway, user: Running, nats: Nats, message: Any
) -> None:
    alice: Person = await by_email(gateway.http, user)
    there = FrontEnd(second_gateway.http, alice.token)
    with stopped(second_gateway.container.verdicts):
        await there.get("/api/user/get-my-info")
        if isinstance(message, dict):
            event = {"id": 1, "subject": "", "aggregate": "", "occurred_at": ""} | message
            message = msgspec.json.encode(event)
        await nats.publish("events.user.profile.updated", message)
        await nats.flush()

        await alice.post("/api/login/logout")

        ends = time.monotonic() + 30
        while (await there.call("GET", "/api/user/get-my-info")).status_code == 200:
            assert time.monotonic() < ends
            await asyncio.sleep(0.01)
