"""An overloaded gateway refuses at once: with a body that clients of each family read, and a time to come back."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from gateway.http.overload import logins
from gateway.http.overload.admission import rank_of
from services.kit.overload.admission import HERE, Rank
from services.user.errors import Overloaded as UserOverloaded
from tests.gateway.http.test_server import Answer, Connection, code_of, connect, request
from tests.support.gateway import gateway_settings, serving_gateway
from tests.support.overload import overloaded
from tests.support.servers import Servers
from tests.support.user import Running

PAGE = "https://app.example"
READ = request("GET", "/api/user/get-user-info?id=1")
WRITE = request(
    "POST", "/api/login/login", body=json.dumps({"email": "nobody@example.com", "password": "x" * 9}).encode()
)


@pytest.fixture(scope="module")
async def url(servers: Servers, user: Running) -> AsyncIterator[str]:
    settings = gateway_settings(servers, HITOK_USER_TARGET=user.target, HITOK_CORS_ORIGINS=PAGE)
    async with serving_gateway(settings) as (_, url):
        yield url


async def ask(connection: Connection, sent: bytes) -> Answer:
    await connection.send(sent)
    async with asyncio.timeout(10):
        return await connection.answer()


async def test_it_refuses_in_the_envelope_of_each_family_and_names_a_time(connection: Connection) -> None:
    with overloaded():
        for sent, code in (
            (READ, 60007),
            (WRITE, 60007),
            (request("GET", "/api/v1/user/detail"), 100001),
            (request("GET", "/v1/social/friends"), 100001),
            (request("GET", "/no-such-route"), 60007),
            (request("GET", "/media/x.mp4"), 60007),
        ):
            answer = await ask(connection, sent)
            assert (answer.status, code_of(answer)) == (503, code)
            assert answer.headers["x-error"] == "overloaded"
            assert answer.headers["retry-after"] in ("1", "2", "3")
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["content-type"] == "application/json"


async def test_the_connection_serves_on(connection: Connection) -> None:
    for _ in range(2):
        with overloaded():
            assert (await ask(connection, WRITE)).status == 503
            assert (await ask(connection, READ)).status == 503
        assert (await ask(connection, WRITE)).status == 401
        assert (await ask(connection, READ)).status != 503


async def test_a_connection_that_is_not_to_be_kept_is_closed(connection: Connection) -> None:
    with overloaded():
        answer = await ask(connection, request("GET", "/api/videos", "Connection: close"))
        assert (answer.status, answer.headers["connection"]) == (503, "close")
        assert await connection.is_closed_within(5)


async def test_health_is_always_answered(connection: Connection) -> None:
    with overloaded():
        for path in ("/health/live", "/metrics"):
            assert (await ask(connection, request("GET", path))).status == 200


async def test_reads_are_refused_first(connection: Connection) -> None:
    with overloaded(limit=12.5):
        assert all(HERE.enter(Rank.WRITE) for _ in range(10))
        assert (await ask(connection, READ)).status == 503
        assert (await ask(connection, WRITE)).status == 401
        for _ in range(10):
            HERE.leave()


async def test_pages_of_other_origins_can_read_the_refusal(connection: Connection) -> None:
    with overloaded():
        answer = await ask(connection, request("GET", "/api/videos", f"Origin: {PAGE}"))
        assert (answer.status, code_of(answer)) == (503, 60007)
        assert answer.headers["access-control-allow-origin"] == PAGE
        assert "retry-after" in answer.headers["access-control-expose-headers"]
        assert answer.headers["retry-after"] in ("1", "2", "3")


async def test_every_request_gives_its_place_back(url: str, connection: Connection) -> None:
    before = HERE.admitted
    for sent in (READ, WRITE, request("GET", "/no-such-route"), request("GET", "/media/x.mp4")):
        await ask(connection, sent)
    for _ in range(3):
        leaving = await connect(url)
        await leaving.send(WRITE[:-5])
        await leaving.close()
    async with asyncio.timeout(10):
        while HERE.admitted != before:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def test_what_only_reads_is_a_read() -> None:
    assert rank_of(b"GET", b"/api/videos") is Rank.READ
    assert rank_of(b"POST", b"/api/contact/get-friend-list") is Rank.READ
    assert rank_of(b"POST", b"/api/chat/send") is Rank.WRITE
    assert rank_of(b"GET", b"/health/ready") is None


async def test_logins_are_refused_at_once_while_the_user_service_has_no_room_for_passwords(
    user: Running, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = 0

    def refuse(*_: object) -> None:
        nonlocal asked
        asked += 1
        raise UserOverloaded(retry_after=2.0)

    monkeypatch.setattr(logins, "SECONDS", 60.0)
    monkeypatch.setattr(logins, "_closed_until", 0.0)
    monkeypatch.setattr(user.service.passwords, "require_room", refuse)
    email = request("POST", "/api/login/login", body=b'{"email":"a@example.com","password":"correct horse"}')
    phone = request("POST", "/api/v1/user/login", body=b'{"phone":"13900000000","password":"correct horse"}')
    for sent in (email, email, phone, email):
        answer = await ask(connection, sent)
        assert answer.status == 503 and int(answer.headers["retry-after"]) >= 1
    assert asked == 1
    began = asyncio.get_running_loop().time()
    await connection.send(email)
    await asyncio.sleep(0.02)  # so that the next comes apart from it
    await connection.send(phone)
    assert [(await connection.answer()).status for _ in range(2)] == [503, 503]
    held = asyncio.get_running_loop().time() - began
    assert held >= 2 * logins.HOLD_SECONDS, "who tries again at once waits each time"
    assert (await ask(connection, READ)).status != 503, "other routes are served"
    monkeypatch.setattr(logins, "_closed_until", 0.0)
    await ask(connection, email)
    assert asked == 2
