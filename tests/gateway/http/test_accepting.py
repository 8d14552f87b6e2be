"""A busy gateway still accepts connections, and a request leaves nothing behind for the garbage collector."""

import asyncio
import errno
import gc
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack

import pytest
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from gateway.http.overload import accepting
from gateway.http.overload.accepting import Acceptor
from tests.gateway.http.test_server import Connection, connect, request
from tests.support.gateway import gateway_settings, serving_gateway
from tests.support.servers import Servers

CLIENTS = 100


class Listener(socket.socket):
    fails = 0  # how often `accept` fails as if there were no file descriptor left

    def accept(self) -> tuple[socket.socket, object]:
        if self.fails:
            self.fails -= 1
            raise OSError(errno.EMFILE, "too many open files")
        return super().accept()


@pytest.fixture
def listener() -> Iterator[Listener]:
    with Listener(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        yield listener


class Protocols(list[asyncio.Protocol]):
    """Those of the connections that were accepted."""

    def make(self) -> asyncio.Protocol:
        self.append(asyncio.Protocol())
        return self[-1]


@pytest.fixture
async def connection(servers: Servers) -> AsyncIterator[Connection]:
    async with serving_gateway(gateway_settings(servers)) as (_, url):
        connection = await connect(url)
        yield connection
        await connection.close()


async def test_many_connections_are_accepted_in_one_turn_of_the_event_loop(listener: Listener) -> None:
    made = Protocols()
    acceptor = Acceptor(listener, made.make)
    with ExitStack() as clients:
        for _ in range(CLIENTS):
            clients.enter_context(socket.create_connection(listener.getsockname()))
        for _ in range(4):  # to notice them, to accept them, and to begin their transports
            await asyncio.sleep(0)
        assert len(made) == CLIENTS
        acceptor.close()
        await acceptor.wait_closed()


async def test_without_file_descriptors_it_waits_and_goes_on(
    listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accepting, "PAUSE", 0.01)
    listener.fails, made = 2, Protocols()
    acceptor = Acceptor(listener, made.make)
    with socket.create_connection(listener.getsockname()):
        async with asyncio.timeout(10):
            while not made:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        acceptor.close()
        await acceptor.wait_closed()
    assert not listener.fails


async def test_a_request_that_was_served_is_freed_without_the_garbage_collector(connection: Connection) -> None:
    async def ask() -> None:
        await connection.send(request("GET", "/health/live"))
        assert (await connection.answer()).status == 200

    await ask()
    gc.collect()
    gc.disable()
    try:
        for _ in range(10):
            await ask()
        await asyncio.sleep(0)
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        found = [each for each in gc.garbage if isinstance(each, RequestResponseCycle)]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
    assert not found
