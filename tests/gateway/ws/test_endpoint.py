"""Getting into the socket, and how it ends."""

import asyncio
import gc
import json
import logging
import weakref
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from gateway.ws import connection, endpoint, reconciler
from services.kit.errors import Unavailable
from tests.gateway.chat_stage import Stage, gateway_of, running_stage, until
from tests.gateway.people import disable, forged
from tests.support.servers import Servers
from tests.support.sockets import Refusal, open_socket, raw_socket, say_hello
from tests.support.user import Running

PATH = "/api/chat/ws"


@pytest.fixture(scope="module")
async def stage(servers: Servers, user: Running) -> AsyncIterator[Stage]:
    async with running_stage(servers, user, HITOK_CHAT_ORIGINS="https://app.example", HITOK_CHAT_SOCKETS="3") as stage:
        yield stage


async def closing(stage: Stage, *, path: str = PATH, headers: dict[str, str] | None = None, **hello: object) -> int:
    """The code that such a hello is closed with."""
    async with raw_socket(stage.url, path, additional_headers=headers or {}) as socket:
        with suppress(ConnectionClosed):  # before the hello, if the header is bad already
            await socket.say("hello", "1", **{"version": 1, **hello})
        return await socket.closed()


async def test_a_ticket_lets_in_once(stage: Stage) -> None:
    anna = await stage.person()
    path = f"{PATH}?ticket={await stage.ticket(anna)}"
    async with raw_socket(stage.url, path) as socket:
        await say_hello(socket)
        assert socket.ready["user_id"] == anna.id
        assert socket.ready["session_id"] == anna.session_id
    assert await closing(stage, path=path) == 4501


async def test_of_fifty_uses_of_a_ticket_at_once_one_opens_a_socket(stage: Stage) -> None:
    path = f"{PATH}?ticket={await stage.ticket(await stage.person())}"

    async def is_let_in() -> bool:
        async with raw_socket(stage.url, path) as socket:
            try:
                await say_hello(socket)
            except (ConnectionClosed, Refusal):
                return False
            return True

    assert sum(await asyncio.gather(*(is_let_in() for _ in range(50)))) == 1


async def test_the_ticket_route_refuses_another_actor(stage: Stage) -> None:
    anna, ben = await stage.people(2)
    assert await anna.get("/api/chat/ws-ticket", user_id=anna.id, user_name="x", role="3")
    await anna.refused("GET", "/api/chat/ws-ticket", 403, -20008, params={"user_id": ben.id})


@pytest.mark.parametrize("path", ["/api/chat/ws", "/ws"])
async def test_a_header_or_the_token_in_the_hello_lets_in(stage: Stage, path: str) -> None:
    anna = await stage.person()
    async with raw_socket(stage.url, path, additional_headers={"Authorization": f"Bearer {anna.token}"}) as socket:
        await say_hello(socket)
        assert socket.ready["user_id"] == anna.id
    async with raw_socket(stage.url, path) as socket:
        await say_hello(socket, token=anna.token)
        assert socket.ready["user_id"] == anna.id


async def test_a_socket_that_sends_no_hello_is_told_and_closed(stage: Stage) -> None:
    anna = await stage.person()
    async with raw_socket(stage.url) as socket:
        await socket.say("hello", "1", version=1)
        assert (await socket.event("error"))["code"] == "unauthenticated"
        assert await socket.closed() == 4501
    async with raw_socket(stage.url) as socket:
        await socket.say("hello", "1", version=1, token=forged(anna, lifetime=-1))
        assert (await socket.event("error"))["code"] == "token_expired"
        assert await socket.closed() == 4501
    for token in ("x", forged(anna, secret="x" * 40), forged(anna, token_class="rtoken")):
        assert await closing(stage, token=token) == 4501
    assert await closing(stage, path=f"{PATH}?ticket=forged") == 4501
    assert await closing(stage, headers={"Authorization": "Bearer x"}) == 4501


async def test_a_hello_has_to_come_in_time(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint, "HELLO_SECONDS", 0.2)
    async with raw_socket(stage.url) as socket:
        assert await socket.closed() == 4501


@pytest.mark.parametrize(
    "text",
    ["nonsense", '{"type":"send","id":"1"}', '{"type":"hello","data":{"version":2}}', '{"type":"hello","data":7}'],
)
async def test_the_first_frame_is_a_hello(stage: Stage, text: str) -> None:
    async with raw_socket(stage.url) as socket:
        await socket.ws.send(text)
        assert (await socket.event("error"))["code"] == "bad_request"
        assert await socket.closed() == 4502


async def test_pages_of_other_origins_are_kept_out(stage: Stage) -> None:
    anna = await stage.person()
    for origin in ("https://app.example", stage.url, None):
        async with open_socket(stage.url, anna.token, origin=origin):
            pass
    for origin in ("https://evil.example", "null", "https://app.example.evil", "http://[", "http://[::1"):
        with pytest.raises(InvalidStatus) as refused:
            async with raw_socket(stage.url, origin=origin):
                pass
        response = refused.value.response
        assert (response.status_code, response.headers["x-error"]) == (403, "NOT_PERMITTED origin")
        assert json.loads(response.body) == {"code": -20008, "message": "权限不足", "data": {}}


async def test_a_plain_request_is_told_to_upgrade(stage: Stage) -> None:
    assert (await stage.http.get(PATH)).status_code == 426


async def test_a_further_socket_closes_the_oldest(stage: Stage) -> None:
    anna = await stage.person()
    async with stage.socket(anna) as first, stage.socket(anna), stage.socket(anna), stage.socket(anna) as last:
        assert await first.closed() == 4504
        assert await last.ask("conversations") == {"conversations": [], "next_cursor": ""}
        assert len(stage.gateway.sockets.hub.users[int(anna.id)]) == 3


async def test_what_a_socket_held_is_free_when_it_is_gone(stage: Stage) -> None:
    anna = await stage.person()
    gc.disable()  # whose pauses are long where there are many sockets
    try:
        async with stage.socket(anna) as socket:
            (protocol,) = [each.protocol for each in stage.gateway.sockets.hub.users[int(anna.id)]]
            assert not [*protocol.request.headers, *protocol.response.headers, *protocol.scope["headers"]]
            held: list[weakref.ref[Any]] = [weakref.ref(protocol), weakref.ref(protocol.conn)]
            del protocol
            assert await socket.ask("conversations")
        await until(lambda: not any(each() for each in held))
    finally:
        gc.enable()


async def test_a_chat_service_away_is_no_fault_of_the_client(stage: Stage) -> None:
    anna = await stage.person()
    for method in ("BatchRedeemTickets", "BatchListConversations"):
        ticket = await stage.ticket(anna)
        stage.chat.faults[method] = Unavailable()
        try:
            assert await closing(stage, path=f"{PATH}?ticket={ticket}") == 4013
        finally:
            del stage.chat.faults[method]


async def test_the_end_of_a_session_closes_its_sockets_at_once(stage: Stage) -> None:
    anna = await stage.person()
    async with stage.socket(anna) as socket, stage.socket(await stage.person()) as other:
        await anna.post("/api/login/logout")
        assert await socket.closed() == 4503
        assert await other.ask("conversations")
    assert await closing(stage, token=anna.token) == 4501
    ben = await stage.person()
    async with stage.socket(ben) as socket:
        await disable(stage.user, ben)
        assert await socket.closed() == 4503


async def test_an_end_that_nobody_told_of_is_found_out(
    servers: Servers, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconciler, "CHECK_SECONDS", 0.1)
    monkeypatch.setattr("gateway.ws.push_subscriber.ACCOUNT_SUBJECTS", ())
    async with gateway_of(stage.chat, servers, stage.user) as deaf:
        anna = await deaf.person()
        async with deaf.socket(anna) as socket:
            await anna.post("/api/login/logout")
            assert await socket.closed() == 4503


async def test_a_session_that_ends_during_the_hello_gets_no_socket(stage: Stage) -> None:
    anna = await stage.person()
    ticket = await stage.ticket(anna)
    await anna.post("/api/login/logout")
    assert await closing(stage, path=f"{PATH}?ticket={ticket}") == 4503


async def test_silence_after_a_ping_closes(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "HEARTBEAT_SECONDS", 600.0)  # the test calls what its timers would call
    anna, ben = await stage.people(2)
    async with stage.socket(anna) as silent, stage.socket(ben) as lively:
        assert lively.ready["heartbeat_ms"] == 600_000
        there = [stage.gateway.sockets.hub.users[int(person.id)][0] for person in (anna, ben)]
        for each in there:
            assert each._timer and 500 < each._timer.when() - asyncio.get_running_loop().time() <= 600
            each._timer.cancel()
            each._ping()
        pongs = asyncio.create_task(lively.drain(1.0))
        await until(lambda: there[1].heard)
        for each in there:
            assert each._timer
            each._timer.cancel()
            each._check_pong()
        assert await silent.closed() == 4002
        await pongs
        assert await lively.ask("conversations")


async def test_a_draining_gateway_sends_its_sockets_elsewhere(servers: Servers, stage: Stage) -> None:
    async with gateway_of(stage.chat, servers, stage.user) as leaving:
        anna = await leaving.person()
        async with leaving.socket(anna) as socket, raw_socket(leaving.url) as silent:
            draining = asyncio.create_task(leaving.gateway.sockets.drain(0.3))
            assert 0 < (await socket.event("goaway"))["reconnect_in_ms"] <= 5_000
            assert await socket.closed() == 1012
            await draining
            async with raw_socket(leaving.url) as late:
                assert await late.closed() == 4001
            await silent.say("hello", version=1, token=anna.token)
            assert await silent.closed() in (1012, 4001)


async def test_presence_knows_who_is_connected(stage: Stage) -> None:
    anna, ben = await stage.people(2)
    async with stage.socket(anna), stage.socket(ben) as socket:
        await until(lambda: int(anna.id) in stage.chat.online.values())
        page = await socket.ask("presence.subscribe", user_ids=[anna.id])
        assert page["presences"] == [{"user_id": anna.id, "online": True, "last_seen_at": None}]
        data = {"user_id": anna.id, "online": False, "last_seen_at": None}
        await stage.chat.push(f"push.presence.{anna.id}", "presence", data)
        assert await socket.event("presence", online=False)
        assert await socket.ask("presence.subscribe", user_ids=[]) == {"presences": []}
        await stage.chat.push(f"push.presence.{anna.id}", "presence", data)
        assert [
            frame for frame in await socket.drain() if frame["type"] == "presence" and not frame["data"]["online"]
        ] == []
    await until(lambda: int(anna.id) not in stage.chat.online.values())


async def test_neither_tickets_nor_tokens_reach_a_log(
    stage: Stage, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    anna = await stage.person()
    ticket = await stage.ticket(anna)
    for _ in range(2):
        with_ticket = raw_socket(stage.url, f"{PATH}?ticket={ticket}")
        async with with_ticket as socket:
            await socket.say("hello", "1", version=1, token=anna.token)
            await socket.drain(0.1) if _ == 0 else await socket.closed()
    ours = [r.getMessage() for r in caplog.records if not r.name.startswith("websockets.client")]
    out = "\n".join(ours) + "".join(capfd.readouterr())
    assert ticket not in out
    assert anna.token not in out


async def test_revoking_another_session_leaves_this_one(stage: Stage, user: Running) -> None:
    anna = await stage.person()
    async with stage.socket(anna) as socket:
        stage.gateway.sockets.hub.revoke_sessions({12345})
        assert await socket.ask("conversations")
