"""The server on a real port: what it accepts from a client, and what it refuses."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import suppress
from typing import Any, NamedTuple

import pytest
import structlog

from gateway.container import Container
from services.kit import log
from services.kit.context import ANONYMOUS, current_caller
from tests.gateway.people import Person, by_email
from tests.support.gateway import gateway_settings, serving, serving_gateway
from tests.support.servers import Servers
from tests.support.user import PASSWORD, Running

HEAD_LIMIT = 64 * 1024


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes


class Connection:
    """Bytes, as no HTTP library would send them."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def send(self, *parts: str | bytes) -> None:
        for part in parts:
            self._writer.write(part.encode() if isinstance(part, str) else part)
        await self._writer.drain()

    async def answer(self) -> Answer:
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").splitlines()
        headers = dict(line.lower().split(": ", 1) for line in head[1:] if line)
        body = await self._reader.readexactly(int(headers.get("content-length", 0)))
        return Answer(int(head[0].split()[1]), headers, body)

    async def is_closed_within(self, seconds: float) -> bool:
        try:
            return await asyncio.wait_for(self._reader.read(), seconds) is not None
        except ConnectionError:
            return True
        except TimeoutError:
            return False

    async def close(self) -> None:
        self._writer.close()
        with suppress(ConnectionError):
            await self._writer.wait_closed()


class Port(NamedTuple):
    gateway: Container
    url: str


@pytest.fixture(scope="module")
async def port(servers: Servers, user: Running) -> AsyncIterator[Port]:
    settings = gateway_settings(servers, HITOK_USER_TARGET=user.target)
    async with serving_gateway(settings) as (gateway, url):
        yield Port(gateway, url)


@pytest.fixture
async def connection(port: Port) -> AsyncIterator[Connection]:
    connection = await connect(port.url)
    yield connection
    await connection.close()


async def connect(url: str) -> Connection:
    host, _, number = url.removeprefix("http://").partition(":")
    return Connection(*await asyncio.open_connection(host, int(number)))


@pytest.fixture(scope="module")
async def alice(user: Running) -> Person:
    return await by_email(None, user)  # type: ignore[arg-type]


def request(method: str, target: str, *headers: str, body: bytes = b"") -> bytes:
    lines = [f"{method} {target} HTTP/1.1", "Host: gateway", *headers]
    if body:
        lines += [f"Content-Length: {len(body)}", "Content-Type: application/json"]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def login(email: str, password: str) -> bytes:
    return request("POST", "/api/login/login", body=json.dumps({"email": email, "password": password}).encode())


def code_of(answer: Answer) -> int:
    body = json.loads(answer.body)
    assert set(body) in ({"code", "message", "data"}, {"code", "msg", "data"})
    found: int = body["code"]
    return found


async def test_a_request_is_served_and_the_connection_kept(connection: Connection, alice: Person) -> None:
    for _ in range(2):
        await connection.send(request("GET", "/api/user/get-my-info", f"Authorization: {alice.token}"))
        answer = await connection.answer()
        assert (answer.status, json.loads(answer.body)["data"]["id"]) == (200, alice.id)
    assert "server" not in answer.headers
    assert "date" in answer.headers


@pytest.mark.parametrize(
    ("target", "status", "code"),
    [
        ("/api/user/get-user-info?id=%zz", 400, 10003),
        ("/api/user/get-user-info?id=%", 400, 10003),
        ("/api/user/get-user-info?id=%ff%fe", 400, 10003),
        ("/api/user/get-user-info?id=%ed%a0%80", 400, 10003),
        ("/api/user/get-user-info?%zz=%zz&id=1", 404, 10011),
        ("/api/user/get-user-info?id=1&x=%00", 400, 10001),
        ("/api/user/get-user-info?&&=&id", 400, 10004),
        ("/api/user/get-user-info?", 400, 10004),
        ("/api/user/get-user-info?id=" + "1" * 10_000, 400, None),
        ("/api/user/get%2Dmy%2Dinfo", 200, 20000),
        ("/api/user/get-my-info#fragment", 200, 20000),
        ("/api/%zz", 404, 10022),
        ("/api/%ff", 404, 10022),
        ("/api/%00", 404, 10022),
        ("/v1/social/%ff", 404, 100011),
        ("//", 404, 10022),
        ("/..", 404, 10022),
        ("*", 404, 10022),
    ],
)
async def test_a_target_as_no_library_would_spell_it(
    connection: Connection, alice: Person, target: str, status: int, code: int | None
) -> None:
    await connection.send(request("GET", target, f"Authorization: {alice.token}"))
    answer = await connection.answer()
    assert answer.status == status, answer
    assert code in (None, code_of(answer))


@pytest.mark.parametrize(
    "nonsense",
    [
        b"nonsense\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nno colon\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nA: \x00\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"BREW / HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
    ids=lambda nonsense: repr(nonsense[:40]),
)
async def test_what_is_no_http_gets_an_envelope_and_no_more(connection: Connection, nonsense: bytes) -> None:
    await connection.send(nonsense)
    answer = await asyncio.wait_for(connection.answer(), 2)
    assert answer.status == 400
    assert code_of(answer) == 10001
    assert answer.headers["content-type"] == "application/json"
    assert await connection.is_closed_within(1)


@pytest.mark.parametrize(
    "headers", [["X: " + "x" * 20_000], [f"X-{number}: {'x' * 100}" for number in range(200)], ["X: " + "x" * 99] * 200]
)
async def test_headers_over_16_kilobytes_are_refused_in_words(connection: Connection, headers: Iterable[str]) -> None:
    await connection.send(request("GET", "/v1/social/friends", *headers))
    answer = await connection.answer()
    assert (answer.status, code_of(answer)) == (431, 100002)


@pytest.mark.parametrize("line", [b"X: " + b"x" * 99 + b"\r\n", b"X: " + b"x" * 1_000_000, b"x" * 1_000_000])
async def test_headers_over_64_kilobytes_close_the_connection(connection: Connection, line: bytes) -> None:
    await connection.send(b"GET / HTTP/1.1\r\nHost: x\r\n")
    sent, began = 0, time.monotonic()
    while sent < 8_000_000 and time.monotonic() - began < 5:
        try:
            await connection.send(line)
        except ConnectionError:
            break
        sent += len(line)
    assert sent < 8_000_000, "it takes whatever comes"
    assert await connection.is_closed_within(1)


async def test_a_target_over_16_kilobytes_is_refused_in_words(connection: Connection) -> None:
    for target in ("/v1/" + "x" * 17_000, "/v1/social/friends?a=" + "x" * 17_000):
        await connection.send(request("GET", target))
        answer = await connection.answer()
        assert (answer.status, code_of(answer)) == (431, 100002)


async def test_a_target_without_end_closes_the_connection(connection: Connection) -> None:
    with pytest.raises(ConnectionError):
        await connection.send("GET /", *(b"x" * HEAD_LIMIT for _ in range(100)))
    assert await connection.is_closed_within(1)


async def test_a_client_that_is_slow_with_its_headers_is_left(
    port: Port, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.http.protocol.HEAD_SECONDS", 0.5)
    silent, slow, second = [await connect(port.url) for _ in range(3)]
    await second.send(request("GET", "/health/live"))
    await second.answer()
    await second.send("GET / HTTP/1.1\r\n")
    for character in "GET / HTTP/1.1\r\nX: ":
        await slow.send(character)
        await asyncio.sleep(0.01)

    for connection in (silent, slow, second):
        assert await connection.is_closed_within(1)
        await connection.close()


async def test_a_connection_may_rest_between_requests(port: Port, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.http.protocol.HEAD_SECONDS", 0.3)
    connection = await connect(port.url)
    for _ in range(2):
        await connection.send(request("GET", "/health/live"))
        assert (await connection.answer()).status == 200
        await asyncio.sleep(0.5)
    await connection.close()


async def test_a_body_over_the_limit_is_refused_with_or_without_a_length(port: Port) -> None:
    megabyte = 1_048_576
    with_length, chunked = [await connect(port.url) for _ in range(2)]
    await with_length.send(request("POST", "/api/login/login", f"Content-Length: {megabyte + 1}"), b"x")
    await chunked.send(request("POST", "/api/login/login", "Transfer-Encoding: chunked"))
    for _ in range(17):
        await chunked.send("10000\r\n", b"x" * 65_536, "\r\n")

    for connection in (with_length, chunked):
        answer = await asyncio.wait_for(connection.answer(), 2)
        assert (answer.status, code_of(answer)) == (413, 10027)
        await connection.close()


async def test_a_chunked_body_is_read_whole(connection: Connection) -> None:
    await connection.send(request("POST", "/api/login/login", "Transfer-Encoding: chunked"))
    for part in ('{"email":"nobody@example.com",', '"password":', '"123456"}', ""):
        await connection.send(f"{len(part):x}\r\n{part}\r\n")
    answer = await connection.answer()
    assert (answer.status, code_of(answer)) == (401, 10009)


async def test_a_body_that_never_comes_ends_with_408(servers: Servers, user: Running) -> None:
    settings = gateway_settings(servers, HITOK_USER_TARGET=user.target, HITOK_REQUEST_SECONDS="0.5")
    async with serving_gateway(settings) as (_, url):
        connection = await connect(url)
        await connection.send(request("POST", "/api/login/login", "Content-Length: 100"), b"{")
        answer = await asyncio.wait_for(connection.answer(), 10)
        assert (answer.status, code_of(answer), answer.headers["x-error"]) == (408, 10095, "body_slow")
        await connection.close()


async def test_a_client_that_leaves_in_the_middle_of_its_body_is_no_error(port: Port) -> None:
    with structlog.testing.capture_logs() as logged:
        connection = await connect(port.url)
        await connection.send(request("POST", "/api/login/login", "Content-Length: 100"), b"{")
        await asyncio.sleep(0.1)
        await connection.close()
        await asyncio.sleep(0.3)
    assert [event for event in logged if event["log_level"] == "error"] == []
    assert [event["route"] for event in logged if event["event"] == "request"] == ["/api/login/login"]


async def test_the_next_request_on_a_connection_knows_nothing_of_the_last(port: Port, alice: Person) -> None:
    """Pipelined, so that Uvicorn starts the second out of the first one's task."""
    with structlog.testing.capture_logs(processors=[log.add_context]) as logged:
        connection = await connect(port.url)
        mine = request("GET", "/api/user/get-my-info", f"Authorization: {alice.token}", "X-Request-Id: first")
        await connection.send(mine + login(alice.email, "wrong one"))
        assert [(await connection.answer()).status for _ in range(2)] == [200, 401]
        await connection.close()

    (refused,) = [event for event in logged if event.get("reason") == "CREDENTIALS_WRONG" and "rpc" in event]
    assert refused["user_id"] == 0
    assert refused["request_id"] != "first"


async def test_callers_of_many_connections_are_kept_apart(servers: Servers) -> None:
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(current_caller.get())
        current_caller.set(scope["path"])
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body"})

    async with serving(app, gateway_settings(servers)) as url:
        for _ in range(3):
            connection = await connect(url)
            await connection.send(request("GET", "/one") + request("GET", "/two"))
            for _ in range(2):
                await connection.answer()
            await connection.send(request("GET", "/three"))
            await connection.answer()
            await connection.close()
    assert seen == [ANONYMOUS] * 9


async def test_a_login_over_a_real_port(connection: Connection, alice: Person) -> None:
    await connection.send(login(alice.email, PASSWORD))
    answer = await connection.answer()
    assert (answer.status, set(json.loads(answer.body)["data"])) == (200, {"atoken", "rtoken"})
