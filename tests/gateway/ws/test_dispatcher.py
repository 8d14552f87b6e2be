"""Requests over the socket: each id answered once, in bounds, in order, whatever a client sends."""

import json
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import pytest

from gateway.http.errors import TooManyRequests
from gateway.ws import frame_limit
from services.kit.errors import DatabaseUnavailable, Forbidden, HitokError, Invalid, NotFound
from tests.gateway.chat_stage import Stage, gateway_of, running_stage
from tests.gateway.fake_chat import ConversationNotFound, NotFriends
from tests.support.overload import overloaded
from tests.support.servers import Servers
from tests.support.sockets import Refusal
from tests.support.user import Running


class NotMember(Forbidden):
    pass


class Blocked(Forbidden):
    pass


class MessageTooLarge(Invalid):
    pass


class MessageNotFound(NotFound):
    pass


SEND: dict[str, Any] = {"client_msg_id": "c", "content_type": "text", "body": {}}
BAD_FRAMES = [
    "",
    "nonsense",
    "[]",
    "null",
    "7",
    '"x"',
    "{}",
    '{"type":7}',
    '{"type":"send","id":[]}',
    '{"type":"send","id":"' + "x" * 65 + '","data":{}}',
    "[" * 5_000,
    '{"type":"send","data":{"to":',
]
BAD_REQUESTS = [
    ("nonsense", {}),
    ("hello", {"version": 1}),
    ("send", {}),
    ("send", {**SEND, "to": 7}),
    ("send", {**SEND, "to": {}}),
    ("send", {**SEND, "to": {"user_id": "1", "group_id": "2"}}),
    ("send", {**SEND, "to": {"user_id": "-1"}}),
    ("send", {**SEND, "to": {"user_id": "1"}, "client_msg_id": 7}),
    ("send", {**SEND, "to": {"user_id": "1"}, "mentions": ["x"]}),
    ("send", {**SEND, "to": {"user_id": "1"}, "reply_to_seq": -1}),
    ("send", {**SEND, "to": {"user_id": str(2**63)}}),
    ("send", {**SEND, "to": {"user_id": "1"}, "body": json.loads("[" * 31 + "]" * 31)}),
    ("typing", {"conversation_id": "1", "unknown": json.loads("[" * 40 + "]" * 40)}),
    ("history", {"conversation_id": "1", "limit": 101}),
    ("history", {"conversation_id": "x"}),
    ("sync", {"conversation_id": "1"}),
    ("read", {"conversation_id": "1", "seq": -1}),
    ("typing", {}),
    ("presence.subscribe", {"user_ids": [1] * 201}),
    ("notification.list", {"limit": 0}),
]


@pytest.fixture(scope="module")
async def stage(servers: Servers, user: Running) -> AsyncIterator[Stage]:
    async with running_stage(servers, user) as stage:
        yield stage


@pytest.mark.parametrize("text", BAD_FRAMES)
async def test_what_is_no_frame_is_answered_and_the_socket_lives(stage: Stage, text: str) -> None:
    async with stage.socket(await stage.person()) as socket:
        await socket.ws.send(text)
        frame = await socket.receive()
        assert (frame["type"], frame["data"]["code"], frame["data"]["retryable"]) == ("error", "bad_request", False)
        assert "id" not in frame
        assert await socket.ask("conversations")


@pytest.mark.parametrize(("type", "data"), BAD_REQUESTS)
async def test_a_bad_request_is_answered_by_its_id(stage: Stage, type: str, data: dict[str, Any]) -> None:
    async with stage.socket(await stage.person()) as socket:
        with pytest.raises(Refusal) as refused:
            await socket.ask(type, **data)
        assert refused.value.code == "bad_request"
        assert refused.value.data["message"]
        assert await socket.ask("conversations")


async def test_a_request_for_an_answer_needs_an_id(stage: Stage) -> None:
    async with stage.socket(await stage.person()) as socket:
        await socket.say("history", conversation_id="1")
        assert (await socket.event("error"))["message"] == "`id` is missing"


async def test_binary_and_oversized_frames_close_the_socket(stage: Stage) -> None:
    anna = await stage.person()
    async with stage.socket(anna) as socket:
        await socket.ws.send(b'{"type":"ping"}')
        assert await socket.closed() == 4502
    async with stage.socket(anna) as socket:
        await socket.ws.send("x" * (64 * 1024 + 1))
        assert await socket.closed() == 1009
    async with stage.socket(anna) as socket:
        for _ in range(21):
            await socket.ws.send("nonsense")
        assert await socket.closed() == 4502


async def test_pings_of_each_kind(stage: Stage) -> None:
    async with stage.socket(await stage.person()) as socket:
        await socket.ws.send("ping")
        assert await socket.ws.recv() == "pong"
        await socket.say("ping")
        assert await socket.receive() == {"type": "pong"}
        assert await socket.ask("ping", "pong") == {}


@pytest.mark.parametrize(
    ("fault", "code", "retryable"),
    [
        (NotFriends(), "not_friends", False),
        (NotMember(), "not_member", False),
        (Blocked(), "blocked", False),
        (ConversationNotFound(), "not_found", False),
        (MessageNotFound(), "not_found", False),
        (MessageTooLarge(), "too_large", False),
        (DatabaseUnavailable(), "unavailable", True),
        (TooManyRequests(retry_after=1.5), "rate_limited", True),
        (HitokError("secret"), "internal", True),
    ],
)
async def test_reasons_become_codes(stage: Stage, fault: HitokError, code: str, retryable: bool) -> None:
    async with stage.socket(await stage.person()) as socket:
        stage.chat.faults["Send"] = fault
        try:
            with pytest.raises(Refusal) as refused:
                await socket.send("x", user_id=1)
        finally:
            del stage.chat.faults["Send"]
        assert (refused.value.code, refused.value.data["retryable"]) == (code, retryable)
        assert refused.value.data.get("retry_after_ms") == (1500 if code == "rate_limited" else None)
        assert "secret" not in str(refused.value)


async def test_sends_keep_their_order_and_a_retry_its_place(stage: Stage) -> None:
    anna, ben = await stage.people(2)
    async with stage.socket(anna) as a, stage.socket(ben) as b:
        ids = [str(uuid.uuid4()) for _ in range(30)]
        data = [{**SEND, "to": {"user_id": ben.id}, "client_msg_id": id} for id in ids]
        for number, one in enumerate(data):
            await a.say("send", f"s{number}", **one)
        acks = [await a.answer(f"s{number}") for number in range(30)]
        assert [ack["seq"] for ack in acks] == list(range(1, 31))
        assert [(await b.event("message"))["client_msg_id"] for _ in ids] == ids
        again = await a.ask("send", **data[7])
        assert (again["seq"], again["duplicate"]) == (8, True)


async def test_unanswered_requests_are_bounded(stage: Stage) -> None:
    anna, ben = await stage.people(2)
    async with stage.socket(anna) as socket:
        with stage.chat.holding("Send"):
            for number in range(40):
                await socket.say("send", f"s{number}", to={"user_id": ben.id}, **SEND | {"client_msg_id": str(number)})
            refused = [await socket.answer_type(f"s{number}") for number in range(32, 40)]
        answered = [await socket.answer_type(f"s{number}") for number in range(32)]
        assert (Counter(refused), Counter(answered)) == ({"rate_limited": 8}, {"ack": 32})


async def test_a_flood_is_refused_then_closed_and_each_id_answered_at_most_once(
    servers: Servers, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frame_limit, "monotonic", lambda: 1_000.0)  # no bucket of frames fills up meanwhile
    async with gateway_of(stage.chat, servers, stage.user, HITOK_RATE_LIMIT_SCALE="1") as limited:
        anna, ben = await limited.people(2)
        async with limited.socket(anna) as socket, limited.socket(ben) as calm:
            for number in range(1000):
                await socket.ws.send(json.dumps({"type": "conversations", "id": str(number)}))
            assert await socket.closed() == 4013
            assert await calm.ask("conversations")
        async with limited.socket(anna) as socket:
            for number in range(60):
                await socket.say("conversations", f"{number}")
            outcomes = Counter([await socket.answer_type(f"{number}") for number in range(60)])
            assert set(outcomes) == {"ack", "rate_limited"}
            assert 30 <= outcomes["ack"] <= 40  # and no more than 32 at a time
        async with limited.socket(ben) as socket:
            began = time.monotonic()
            for number in range(30):
                await socket.say("send", f"{number}", to={"user_id": anna.id}, **SEND | {"client_msg_id": str(number)})
            outcomes = Counter([await socket.answer_type(f"{number}") for number in range(30)])
            assert 20 <= outcomes["ack"] <= 21 + 5 * (time.monotonic() - began)


async def test_an_overloaded_gateway_refuses_a_frame_and_says_when_to_come_back(stage: Stage) -> None:
    anna, ben = await stage.people(2)
    async with stage.socket(anna) as socket:
        requests: dict[str, Any] = {"send": {**SEND, "to": {"user_id": ben.id}}, "conversations": {}}
        with overloaded():
            for type, data in requests.items():
                with pytest.raises(Refusal) as refused:
                    await socket.ask(type, **data)
                assert refused.value.code == "unavailable"
                assert (refused.value.data["retryable"], refused.value.data["retry_after_ms"]) == (True, 1000)
        for type, data in requests.items():
            assert await socket.ask(type, **data)


async def test_typing_is_for_the_other_members_only(stage: Stage) -> None:
    anna, ben, eve = await stage.people(3)
    id = stage.chat.create(int(anna.id), int(ben.id))
    async with stage.socket(anna) as a, stage.socket(anna) as tablet, stage.socket(ben) as b, stage.socket(eve) as e:
        await a.say("typing", conversation_id=str(id), active=True)
        assert (await b.event("typing", user_id=anna.id))["expires_ms"] > 0
        assert await tablet.event("typing", user_id=anna.id)
        assert await a.ask("typing", conversation_id=str(id), active=False) == {}
        assert (await b.event("typing", user_id=anna.id))["expires_ms"] == 0
        await e.say("typing", conversation_id=str(id), active=True)
        assert [frame for frame in await b.drain() if frame["data"]["user_id"] == eve.id] == []
        assert await a.drain(0.05) == []


async def test_http_does_the_same(stage: Stage) -> None:
    anna, ben = await stage.people(2)
    async with stage.socket(ben) as b:
        ack = await anna.post("/api/chat/send", to={"user_id": ben.id}, **SEND)
        assert (await b.event("message"))["message_id"] == ack["message_id"]
        again = await anna.post("/api/chat/send", to={"user_id": ben.id}, **SEND)
        assert again == ack | {"duplicate": True}
        id = ack["conversation_id"]
        (listed,) = (await ben.get("/api/chat/conversations"))["conversations"]
        assert (listed["conversation_id"], listed["unread"]) == (id, 1)
        page = await ben.get("/api/chat/messages", conversation_id=id, before_seq=2, limit=5)
        assert page["messages"] == (await b.ask("history", conversation_id=id, before_seq=2, limit=5))["messages"]
        assert (await ben.post("/api/chat/read", conversation_id=id, seq=1))["read_seq"] == 1
        assert await ben.get("/api/chat/notifications") == {"notifications": [], "unread": 0}
    await anna.refused("GET", "/api/chat/messages", 404, 10061, params={"conversation_id": "1"})
    await anna.refused("POST", "/api/chat/send", 400, 10001, json=SEND | {"to": {}})
    await anna.refused("POST", "/api/chat/send", 400, 10004, json=SEND)
