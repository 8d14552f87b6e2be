"""What an overloaded gateway refuses by its bytes, and what takes the way through the parser instead."""

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest
from prometheus_client import REGISTRY

from gateway.http.overload.early import early_refusal_of
from gateway.http.protocol import Protocol
from services.kit.overload.admission import HERE, Rank
from tests.gateway.http.test_server import Connection, request
from tests.support.gateway import gateway_settings, serving_gateway
from tests.support.overload import overloaded
from tests.support.servers import Servers
from tests.support.user import Running

READ, WRITE = request("GET", "/api/videos"), request("POST", "/api/chat/send", body=b'{"text":"Connection: x"}')
CHUNKED = request("POST", "/api/chat/send", "Transfer-Encoding: chunked") + b"3\r\nabc\r\n0\r\n\r\n"
WHOLE = [
    READ,
    WRITE,
    request("DELETE", "/api/videos/delete-video?id=1", "X-Content: 1"),
    request("POST", "/api/chat/send", "content-length: 3") + b"abc",
]
UNUSUAL = [
    CHUNKED,
    request("GET", "/api/videos", "ORIGIN: https://app.example"),
    request("GET", "/api/videos", "Connection: close"),
    request("GET", "/api/videos", "Upgrade: websocket"),
    request("POST", "/api/chat/send", "Expect: 100-continue", body=b"{}"),
    request("POST", "/api/chat/send", "Content-Length: 2", body=b"{}"),
    request("POST", "/api/chat/send", "Content-Length : 2") + b"{}",
    request("POST", "/api/chat/send", "Content-Length: +2") + b"{}",
    request("GET", "/api/videos", "X: 1\nTransfer-Encoding: chunked"),
    READ.replace(b"HTTP/1.1", b"HTTP/1.0"),
    READ.replace(b"GET ", b"get "),
    READ.replace(b"GET ", b"HEAD "),
    READ.replace(b"\r\n", b"\n"),
    READ + READ,
    READ[:-2],
    READ[5:],
    WRITE[:-1],
    WRITE + b"G",
    request("GET", "/health/ready"),
    b"",
]


@pytest.mark.parametrize("sent", WHOLE)
def test_a_whole_request_is_refused_while_there_is_no_room(sent: bytes) -> None:
    assert early_refusal_of(sent) is None
    with overloaded():
        refusal = early_refusal_of(sent)
    assert refusal and refusal.answer.startswith(b"HTTP/1.1 503 ") and b"\r\nretry-after: " in refusal.answer
    assert refusal.after == 0


@pytest.mark.parametrize("sent", UNUSUAL)
def test_what_is_unusual_or_not_whole_is_left_to_the_parser(sent: bytes) -> None:
    with overloaded():
        assert early_refusal_of(sent) is None


async def test_it_is_counted_as_others_are_and_reads_are_refused_first() -> None:
    def refused(rank: str) -> float:
        return REGISTRY.get_sample_value("hitok_shed_total", {"rank": rank}) or 0.0

    with overloaded(limit=1.2):
        assert HERE.enter(Rank.WRITE)
        before, admitted = (refused("read"), refused("write")), HERE.admitted
        assert early_refusal_of(READ) and not early_refusal_of(WRITE)
        assert (refused("read") - before[0], refused("write") - before[1], HERE.admitted) == (1, 0, admitted)
        HERE.leave()


@pytest.fixture(scope="module")
async def url(servers: Servers, user: Running) -> AsyncIterator[str]:
    async with serving_gateway(gateway_settings(servers, HITOK_USER_TARGET=user.target)) as (_, url):
        yield url


@pytest.mark.parametrize(
    "parts", [(WRITE,), (WRITE[:-3], WRITE[-3:]), (WRITE[:9], WRITE[9:]), (CHUNKED,), (READ + WRITE,)]
)
async def test_however_a_request_comes_the_connection_serves_the_next(
    connection: Connection, parts: tuple[bytes, ...]
) -> None:
    answers = b"".join(parts).count(b" HTTP/1.1\r\n")
    for _ in range(2):
        with overloaded():
            for part in parts:
                await connection.send(part)
                await asyncio.sleep(0.02)  # so that it comes apart from the next
            assert [(await connection.answer()).status for _ in range(answers)] == [503] * answers
            await connection.send(READ)
            assert (await connection.answer()).status == 503
        await connection.send(request("GET", "/health/live"))
        assert (await connection.answer()).status == 200


def test_a_connection_is_kept_from_the_last_refusal_on() -> None:
    protocol: Any = Protocol.__new__(Protocol)
    protocol.loop, protocol.transport = SimpleNamespace(time=lambda: 1_050.0, call_later=Mock()), Mock()
    protocol.timeout_keep_alive, protocol.timeout_keep_alive_task = 75, Mock()
    protocol._refuse_early(b"no")
    protocol.transport.write.assert_called_once_with(b"no")
    protocol.loop.time = lambda: 1_075.0
    protocol.timeout_keep_alive_handler()
    assert protocol.loop.call_later.call_args.args[0] == 50.0
    protocol.transport.is_closing.return_value = False
    protocol.transport.close.assert_not_called()
    protocol.loop.time = lambda: 1_125.0
    protocol.timeout_keep_alive_handler()
    protocol.transport.close.assert_called_once_with()
