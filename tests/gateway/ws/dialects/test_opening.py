"""How a client of the originals gets in, and what its token leaves behind."""

import io
import logging
from collections.abc import AsyncIterator

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from gateway.ws import endpoint
from gateway.ws.dialects import connection
from services.kit.errors import Unavailable
from tests.gateway.chat_stage import Stage, running_stage, until
from tests.gateway.people import forged
from tests.gateway.ws.dialects.clients import dialect
from tests.support.servers import Servers
from tests.support.sockets import raw_socket
from tests.support.user import Running

NAMES = ("A", "B1", "B2")


@pytest.fixture(scope="module")
async def stage(servers: Servers, user: Running) -> AsyncIterator[Stage]:
    async with running_stage(servers, user) as stage:
        yield stage


async def test_a_subprotocol_may_be_the_token_and_is_echoed(stage: Stage) -> None:
    anna = await stage.person()
    async with connect(stage.url.replace("http", "ws", 1) + "/ws", subprotocols=[anna.token]) as ws:  # type: ignore[list-item]
        assert ws.subprotocol == anna.token
        await ws.send('{"frameType":1,"id":"1"}')
        assert await ws.recv() == '{"id":"","frameType":1}'


async def test_a_first_frame_with_an_id_after_a_header_is_the_later_form(stage: Stage) -> None:
    anna = await stage.person()
    async with raw_socket(stage.url, "/ws", additional_headers={"Authorization": anna.token}) as socket:
        await socket.ws.send('{"id":"p","frameType":1}')
        assert await socket.ws.recv() == '{"id":"","frameType":1}'


@pytest.mark.parametrize("name", ["A", "B2"])
async def test_a_bad_token_in_a_url_is_answered_with_401(stage: Stage, name: str) -> None:
    anna = await stage.person()
    for token in ("nothing", forged(anna, lifetime=-1), forged(anna, secret="x" * 40)):
        with pytest.raises(InvalidStatus) as refused:
            async with dialect(stage.url, name, token):
                pass
        assert refused.value.response.status_code == 401


async def test_our_hello_still_follows_a_header_and_its_absence_is_told(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    anna = await stage.person()
    monkeypatch.setattr(endpoint, "HELLO_SECONDS", 0.2)
    for path, headers in (
        ("/ws", {"Authorization": f"Bearer {anna.token}"}),
        (f"/ws?ticket={await stage.ticket(anna)}", {}),
    ):
        async with raw_socket(stage.url, path, additional_headers=headers) as socket:
            error = await socket.event("error")
            assert (error["code"], "hello" in error["message"]) == ("bad_request", True)
            assert await socket.closed() == 4502


@pytest.mark.parametrize("name", NAMES)
async def test_a_silent_client_stays_and_a_dead_one_does_not(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    if name != "B1":  # whose first frame tells the dialect
        monkeypatch.setattr(endpoint, "HELLO_SECONDS", 0.1)
    monkeypatch.setattr(connection, "KEEPALIVE_SECONDS", 0.2)
    anna = await stage.person()
    async with dialect(stage.url, name, anna.token) as client:
        assert await client.drain(1.0) == []
        (held,) = stage.gateway.sockets.hub.users[int(anna.id)]
        held.protocol.on_pong = None  # from now on it seems to answer no ping
        assert await client.closed() == 4002


@pytest.mark.parametrize("name", NAMES)
async def test_the_end_of_a_session_closes_its_sockets(stage: Stage, name: str) -> None:
    anna = await stage.person()
    async with dialect(stage.url, name, anna.token) as client:
        await until(lambda: int(anna.id) in stage.gateway.sockets.hub.users)
        await anna.post("/api/login/logout")
        assert await client.closed() == 4503
    with pytest.raises((InvalidStatus, ConnectionClosed)):
        async with dialect(stage.url, name, anna.token):
            pass


async def test_a_chat_service_away_is_no_fault_of_the_client(stage: Stage) -> None:
    anna = await stage.person()
    stage.chat.faults["BatchListConversations"] = Unavailable()
    try:
        async with dialect(stage.url, "A", anna.token) as client:
            assert await client.closed() == 4013
    finally:
        del stage.chat.faults["BatchListConversations"]


async def test_a_token_in_a_url_is_in_no_log_and_no_metric(stage: Stage) -> None:
    anna, ben = await stage.people(2)
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.addFilter(
        lambda record: not record.name.startswith(("websockets.client", "http"))
    )  # the test's own clients
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        for name in ("A", "B2"):
            async with dialect(stage.url, name, anna.token) as client:
                await client.say(ben.id, "hi")
            with pytest.raises(InvalidStatus):
                async with dialect(stage.url, name, anna.token + "x"):
                    pass
        await stage.http.get(f"/ws?token={anna.token}")
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
    signature = anna.token.rpartition(".")[2][:40]
    assert signature not in written.getvalue()
    assert signature not in (await stage.http.get("/metrics")).text
