"""One network holds only so many connections and sockets open."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from websockets.exceptions import InvalidStatus

from gateway.http.limits.network_bounds import NetworkBound
from tests.gateway.chat_stage import Stage, running_stage
from tests.gateway.http.test_server import code_of, connect, request
from tests.support.servers import Servers
from tests.support.sockets import open_socket, raw_socket
from tests.support.user import Running


@pytest.fixture(scope="module")
async def stage(servers: Servers, user: Running) -> AsyncIterator[Stage]:
    limits = {"HITOK_NETWORK_CONNECTIONS": "4", "HITOK_NETWORK_SOCKETS": "2"}
    async with running_stage(servers, user, **limits) as stage:
        yield stage


def test_a_network_is_an_ipv4_address_or_the_64_of_an_ipv6_address() -> None:
    bound = NetworkBound("connection", 2)
    assert [bound.enter("192.0.2.1") for _ in range(3)] == ["192.0.2.1", "192.0.2.1", None]
    assert bound.enter("192.0.2.2") == "192.0.2.2"
    assert [bound.enter(f"2001:db8::{n}") for n in (1, 2, 3)] == ["2001:db8::/64", "2001:db8::/64", None]
    assert bound.enter("2001:db8:0:1::1") == "2001:db8:0:1::/64"
    bound.leave("192.0.2.1")
    assert bound.enter("192.0.2.1")


def test_proxies_and_a_bound_of_0_are_not_counted() -> None:
    bound = NetworkBound("connection", 1, ["10.0.0.0/8", "proxy.example", "fd00::/8"])
    for ip in ("10.1.2.3", "fd00::1", ""):
        assert [bound.enter(ip) for _ in range(3)] == [""] * 3
    bound.leave("")
    assert [NetworkBound("connection", 0).enter("192.0.2.1") for _ in range(3)] == [""] * 3


async def test_a_further_connection_gets_429(stage: Stage) -> None:
    await stage.http.aclose()
    held = [await connect(stage.url) for _ in range(4)]
    for connection in held:
        await connection.send(request("GET", "/health/live"))
        assert (await connection.answer()).status == 200
    further = await connect(stage.url)
    answer = await further.answer()
    assert (answer.status, code_of(answer), answer.headers["retry-after"]) == (429, -20007, "30")
    assert await further.is_closed_within(5)
    await held.pop().close()
    async with asyncio.timeout(10):  # until the gateway has seen it go
        while True:
            again = await connect(stage.url)
            await again.send(request("GET", "/health/live"))
            status = (await again.answer()).status
            await again.close()
            if status == 200:
                break
    await further.close()
    for connection in held:
        await connection.close()


async def test_a_further_socket_gets_429(stage: Stage) -> None:
    anna, ben = await stage.person(), await stage.person()
    async with open_socket(stage.url, anna.token), open_socket(stage.url, ben.token):
        with pytest.raises(InvalidStatus) as refused:
            async with raw_socket(stage.url):
                pass
        assert refused.value.response.status_code == 429
        assert b"-20007" in refused.value.response.body
    async with open_socket(stage.url, anna.token):
        pass
