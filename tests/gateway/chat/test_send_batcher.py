"""Messages that arrive together travel together, and each gets its own answer."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from gateway.chat import send_batcher
from services.kit.errors import HitokError, Unavailable
from tests.gateway.chat_stage import Stage, running_stage, until
from tests.gateway.people import Person
from tests.support.servers import Servers
from tests.support.sockets import Refusal, Socket
from tests.support.user import Running


@pytest.fixture(scope="module")
async def stage(servers: Servers, user: Running) -> AsyncIterator[Stage]:
    async with running_stage(servers, user, HITOK_CHAT_SOCKETS="100") as stage:
        yield stage


@pytest.fixture(autouse=True)
def forgotten(stage: Stage) -> None:
    stage.chat.sends.clear()


def message(to: Person, text: str = "hi") -> dict[str, Any]:
    return {
        "to": {"user_id": to.id},
        "client_msg_id": str(uuid.uuid4()),
        "content_type": "text",
        "body": {"text": text},
    }


async def outcome(socket: Socket, to: Person, text: str = "hi") -> str:
    """`ack`, or the error's code."""
    try:
        await socket.ask("send", **message(to, text))
    except Refusal as refusal:
        return str(refusal.code)
    return "ack"


async def test_fifty_at_once_are_few_calls_and_each_in_its_senders_name(stage: Stage) -> None:
    people = await stage.people(10)
    pairs = list(zip(people, people[1:] + people[:1], strict=True)) * 5
    async with AsyncExitStack() as stack:
        sockets = [await stack.enter_async_context(stage.socket(person)) for person, _ in pairs]
        asked = [message(to, person.id) for person, to in pairs]
        acks = await asyncio.gather(*(socket.ask("send", **data) for socket, data in zip(sockets, asked, strict=True)))
        assert [ack["client_msg_id"] for ack in acks] == [data["client_msg_id"] for data in asked]
        assert not any(ack["duplicate"] for ack in acks)
    written = [m for room in stage.chat.conversations.values() for m in room.messages]
    mine = {data["client_msg_id"]: person.id for (person, _), data in zip(pairs, asked, strict=True)}
    assert {m.client_msg_id: str(m.sender_id) for m in written if m.client_msg_id in mine} == mine
    assert sum(map(len, stage.chat.sends)) == 50
    assert len(stage.chat.sends) <= 25, "calls for fifty messages"


async def test_a_lone_message_does_not_wait(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage.gateway.chat.sends._batches, "_window", 3.0)
    anna, ben = await stage.people(2)
    async with stage.socket(anna) as socket:
        began = time.monotonic()
        with stage.chat.holding("end of BatchSend"):  # the answers are there before their call has ended
            assert [await outcome(socket, ben) for _ in range(3)] == ["ack"] * 3
        assert time.monotonic() - began < 3


async def test_a_bad_message_among_good_ones_fails_alone(stage: Stage) -> None:
    people = await stage.people(5)
    stage.chat.strangers.add(int(people[4].id))
    async with AsyncExitStack() as stack:
        sockets = [await stack.enter_async_context(stage.socket(person)) for person in people[:4]]
        with stage.chat.holding("BatchSend"):
            first = asyncio.create_task(outcome(sockets[0], people[1]))
            await until(lambda: "BatchSend" in stage.chat.waiting)
            to = [people[2], people[4], people[3]]
            others = [asyncio.create_task(outcome(*each)) for each in zip(sockets[1:], to, strict=True)]
            await asyncio.sleep(0.1)
        assert [await each for each in (first, *others)] == ["ack", "ack", "not_friends", "ack"]


async def test_nobody_waits_for_a_slow_message_nor_for_a_sender_who_left(stage: Stage) -> None:
    anna, ben, cleo = await stage.people(3)
    async with stage.socket(ben) as b:
        async with stage.socket(anna) as a:
            with stage.chat.holding(f"Send by {anna.id}"):
                slow = asyncio.create_task(outcome(a, cleo))
                assert await outcome(b, cleo) == "ack"
                assert not slow.done()
            assert await slow == "ack"
            with stage.chat.holding(f"Send by {anna.id}"):
                await a.say("send", "1", **message(cleo, "the last"))
                assert await outcome(b, cleo) == "ack"
                await a.ws.close()
                assert await outcome(b, cleo) == "ack"
    await until(lambda: stage.gateway.chat.sends._unanswered == 0)
    room = next(r for r in stage.chat.conversations.values() if r.members == {int(anna.id), int(cleo.id)})
    assert b"the last" in room.messages[-1].body, "it was sent, though its sender got no answer"


@pytest.mark.parametrize("fault", [HitokError(), Unavailable()])
@pytest.mark.parametrize(("away", "expected"), [("BatchSend", "ack"), ("Send", "unavailable")])
async def test_a_call_that_fails_as_a_whole(stage: Stage, fault: HitokError, away: str, expected: str) -> None:
    """Because of one message, or with a replica: each is sent by itself. Because no replica is there: all are told."""
    people = await stage.people(4)
    async with AsyncExitStack() as stack:
        sockets = [await stack.enter_async_context(stage.socket(person)) for person in people]
        stage.chat.faults |= {"BatchSend": fault, away: Unavailable() if away == "Send" else fault}
        try:
            found = await asyncio.gather(*(outcome(socket, people[0]) for socket in sockets[1:]))
        finally:
            stage.chat.faults.clear()
    assert found == [expected] * 3


async def test_what_was_away_for_one_message_only_is_tried_again(stage: Stage) -> None:
    """As the channel does with a single call, for example while a database or another service restarts."""
    anna, ben = await stage.people(2)
    async with stage.socket(anna) as socket:
        stage.chat.hitches[f"Send by {anna.id}"] = Unavailable()
        assert await outcome(socket, ben) == "ack"


async def test_beyond_the_unanswered_messages_allowed_one_is_told_to_try_again(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    anna, ben = await stage.people(2)
    async with stage.socket(anna) as a, stage.socket(ben) as b:
        monkeypatch.setattr(send_batcher, "MAX_UNANSWERED", 1)
        with stage.chat.holding("Send"):
            first = asyncio.create_task(outcome(a, ben))
            await until(lambda: "Send" in stage.chat.waiting)
            assert await outcome(b, anna) == "unavailable"
        assert await first == "ack"
        assert await outcome(b, anna) == "ack"


async def test_large_messages_are_spread_over_calls(stage: Stage) -> None:
    anna, *people = await stage.people(4)
    stage.chat.send_bytes.clear()
    async with AsyncExitStack() as stack:
        sockets = [await stack.enter_async_context(stage.socket(person)) for person in people]
        with stage.chat.holding("BatchSend"):  # the first call is under way, and the others gather
            for number in range(10):
                for socket in sockets:
                    to = {"to": {"conversation_id": str(stage.chat.create(int(socket.ready["user_id"])))}}
                    await socket.say("send", f"s{number}", **message(anna, "x" * 60_000) | to)
        answers = [await socket.answer_type(f"s{number}") for number in range(10) for socket in sockets]
    assert answers == ["ack"] * 30
    assert sum(map(len, stage.chat.sends)) == 30 and max(stage.chat.send_bytes) <= send_batcher.MAX_BYTES + 200
