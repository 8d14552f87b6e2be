"""Clients of the originals and ours in the same conversations."""

import asyncio
import itertools
import json
import random
import time
import uuid
from collections.abc import AsyncIterator

import pytest

from gateway.ws.dialects import acknowledgements, connection
from gateway.ws.dialects.hichat_acked import client_msg_id_of
from services.kit.errors import Unavailable
from tests.gateway.chat_stage import Stage, gateway_of, running_stage, until
from tests.gateway.ws.dialects.clients import dialect
from tests.support.overload import overloaded
from tests.support.servers import Servers
from tests.support.user import Running

NAMES = ("A", "B1", "B2")


@pytest.fixture(scope="module")
async def stage(servers: Servers, user: Running) -> AsyncIterator[Stage]:
    async with running_stage(servers, user) as stage:
        yield stage


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "CONFIRM_SECONDS", 0.05)
    monkeypatch.setattr(connection, "BUSY_SECONDS", 0.1)


@pytest.mark.parametrize("name", NAMES)
async def test_a_dialect_and_ours_talk_both_ways(stage: Stage, name: str) -> None:
    anna, ben = await stage.people(2)
    async with dialect(stage.url, name, anna.token) as client, stage.socket(ben) as ours:
        await client.say(ben.id, "to ours")
        message = await ours.event("message")
        assert (message["sender_id"], message["body"], message["content_type"]) == (
            anna.id,
            {"text": "to ours"},
            "text",
        )
        await ours.send("to them", user_id=anna.id)
        assert await client.texts(1) == ["to them"]


@pytest.mark.parametrize(("name", "other"), list(itertools.permutations(NAMES, 2)))
async def test_two_dialects_talk_with_each_other(stage: Stage, name: str, other: str) -> None:
    anna, ben = await stage.people(2)
    async with dialect(stage.url, name, anna.token) as one, dialect(stage.url, other, ben.token) as two:
        await one.say(ben.id, "hello")
        assert await two.texts(1) == ["hello"]
        await two.say(anna.id, "hello yourself")
        assert await one.texts(1) == ["hello yourself"]


@pytest.mark.parametrize("name", NAMES)
async def test_what_came_while_one_was_away_arrives_once_in_order(stage: Stage, name: str) -> None:
    anna, ben = await stage.people(2)
    async with stage.socket(ben) as ours:
        for number in range(60):
            await ours.send(str(number), user_id=anna.id)
        expected = [str(number) for number in range(60)]
        async with dialect(stage.url, name, anna.token) as client:
            due = expected if name == "B2" else expected[-50:]
            assert await client.texts(len(due)) == due
            id = next(id for id, each in stage.chat.conversations.items() if {int(anna.id)} < each.members)
            await until(lambda: stage.chat.conversations[id].delivered.get(int(anna.id)) == 60)
        async with dialect(stage.url, name, anna.token) as client:
            assert await client.drain() == []
            await ours.send("live", user_id=anna.id)
            assert await client.texts(1) == ["live"]


@pytest.mark.parametrize("name", NAMES)
async def test_reconnects_lose_and_reorder_nothing(stage: Stage, name: str) -> None:
    """Only what a client received and had not confirmed yet comes again, with the same id where it has one."""
    dice = random.Random(7)
    anna, ben = await stage.people(2)
    seen: list[int] = []
    async with stage.socket(ben) as ours:
        first = await ours.send("0", user_id=anna.id)
        conversation = stage.chat.conversations[int(first["conversation_id"])]

        async def talk() -> None:
            for number in range(1, 60):
                await ours.send(str(number), user_id=anna.id)
                await asyncio.sleep(dice.random() * 0.03)

        talking = asyncio.create_task(talk())
        for _ in range(60):
            confirmed = conversation.delivered.get(int(anna.id), 0)
            async with dialect(stage.url, name, anna.token) as client:
                frames = await client.drain(0.1 + dice.random() * 0.2)
                client.ws.transport.abort()
                got = [text for frame in frames if (text := client.text_in(frame)) is not None]
            numbers = [int(text) for text in got]
            if numbers:
                assert confirmed <= numbers[0] <= max(seen, default=-1) + 1
                assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
            seen += numbers
            if talking.done() and len(set(seen)) == 60:
                break
        await talking
    assert set(seen) == set(range(60))


@pytest.mark.parametrize("name", NAMES)
async def test_lost_events_are_read_from_the_store(stage: Stage, name: str) -> None:
    anna, ben = await stage.people(2)
    async with dialect(stage.url, name, anna.token) as client, stage.socket(ben) as ours:
        ack = await ours.send("1", user_id=anna.id)
        assert await client.texts(1) == ["1"]
        id = int(ack["conversation_id"])
        stage.chat.mute = True
        await stage.say(id, ben, "2")
        await stage.say(id, ben, "3")
        stage.chat.mute = False
        await stage.say(id, ben, "4")
        assert await client.texts(3) == ["2", "3", "4"]
        stage.chat.mute = True
        for number in range(5, 230):
            await stage.say(id, ben, str(number))
        stage.chat.mute = False
        stage.gateway.sockets._reconciler.after_gap()
        assert await client.texts(225) == [str(number) for number in range(5, 230)]
        assert await client.drain() == []


async def test_a_failing_store_delays_and_loses_nothing(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.ws.dialects.catch_up.RETRY_SECONDS", 0.01)
    anna, ben = await stage.people(2)
    async with dialect(stage.url, "B2", anna.token) as client, stage.socket(ben) as ours:
        ack = await ours.send("1", user_id=anna.id)
        assert await client.texts(1) == ["1"]
        stage.chat.mute = True
        await stage.say(int(ack["conversation_id"]), ben, "2")
        stage.chat.mute = False
        stage.chat.hitches["BatchSync"] = Unavailable()
        await stage.say(int(ack["conversation_id"]), ben, "3")
        assert await client.texts(2) == ["2", "3"]


async def test_a_client_that_reads_slowly_delays_nobody_and_misses_nothing(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    anna, ben, cleo = await stage.people(3)
    id = stage.chat.create(int(anna.id), int(ben.id), int(cleo.id))
    count = 400
    async with dialect(stage.url, "A", anna.token, max_queue=1) as slow, dialect(stage.url, "A", cleo.token) as quick:
        await until(lambda: len(stage.gateway.sockets.hub.conversations.get(id, _Nobody).connections) == 2)
        (held,) = stage.gateway.sockets.hub.users[int(anna.id)]
        held.protocol.writable.clear()  # as if its buffer were full
        for number in range(count):
            await stage.say(id, ben, f"{number} " + "x" * 3_000)
        async with asyncio.timeout(30):
            texts = await quick.texts(count)
        assert [int(text.split()[0]) for text in texts] == list(range(count))
        assert held.queued_bytes <= 300 * 1024
        held.protocol.resume_writing()
        texts = await slow.texts(count)
        assert [int(text.split()[0]) for text in texts] == list(range(count))
        assert await slow.drain() == []


class _Nobody:
    connections: tuple[()] = ()


async def test_who_left_gets_nothing_more(stage: Stage) -> None:
    anna, ben = await stage.people(2)
    id = stage.chat.create(int(anna.id), int(ben.id))
    async with dialect(stage.url, "B2", anna.token) as client:
        await stage.say(id, ben, "hi")
        assert await client.texts(1) == ["hi"]
        await stage.chat.remove(id, int(anna.id))
        await stage.say(id, ben, "among us")
        stage.gateway.sockets._reconciler.after_gap()
        assert await client.drain(0.6) == []


async def test_b2_acknowledges_after_the_commit_and_repeats_until_confirmed(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(acknowledgements, "REPEAT_SECONDS", 0.05)
    anna, ben = await stage.people(2)
    data = {"chatType": 1, "recvId": ben.id, "msg": {"mType": 1, "content": "hi"}}
    frame = {"id": "1-anna", "ackSeq": 0, "frameType": 0, "method": "chat.user", "data": data}
    async with dialect(stage.url, "B2", anna.token) as client:
        with stage.chat.holding("Send"):
            await client.send(frame)
            await client.send(frame)  # while it is pending
            assert await client.drain() == []
        acks = [each for each in await client.drain(0.3) if each["frameType"] == 3]
        assert len(acks) > 2 and {(each["id"], each["ackSeq"]) for each in acks} == {("1-anna", 1)}
        await client.send({"id": "1-anna", "ackSeq": 2, "frameType": 3})
        await asyncio.sleep(0.1)
        await client.drain(0.05)
        assert await client.drain() == []
        await client.send(frame)  # after it: acknowledged again, and stored once
        assert (await client.wait(lambda each: each["frameType"] == 3))["ackSeq"] == 1
        await asyncio.sleep(acknowledgements.MAX_REPEATS * 0.05 + 0.2)
        assert len(await client.drain(0.1)) <= acknowledgements.MAX_REPEATS
        assert await client.drain() == []
    async with dialect(stage.url, "B2", anna.token) as client:
        assert (await client.ask("chat.user", data, "1-anna"))["frameType"] == 3
    (conversation,) = [each for each in stage.chat.conversations.values() if int(anna.id) in each.members]
    assert len(conversation.messages) == 1


async def test_only_b2_hears_of_notifications(stage: Stage) -> None:
    (anna,) = await stage.people(1)
    async with dialect(stage.url, "B2", anna.token) as b2, dialect(stage.url, "A", anna.token) as a:
        for number, kind in enumerate(("friend_request", "like")):
            actor = {"user_id": "7", "user_ids": ["7"], "count": 1}
            notice = {"notification_id": str(number), "kind": kind, "actor": actor, "subject": {"x": "1"}}
            await stage.chat.push(f"push.user.{anna.id}", "notification", notice)
        for number, (kind, method) in enumerate((("friend_request", "relation.changed"), ("like", "notify"))):
            frame = await b2.wait(lambda each, wanted=method: each.get("method") == wanted)
            data = {"kind": kind, "userId": "7", "subject": {"x": "1"}}
            head = {"id": f"notice-{number}", "frameType": 0, "method": method, "formId": "7"}
            assert frame == head | {"data": data}
        assert await a.drain(0.1) == []


async def test_b2_receives_what_the_contract_shows(stage: Stage) -> None:
    anna, ben = await stage.people(2)
    async with dialect(stage.url, "B2", anna.token) as one, dialect(stage.url, "B2", ben.token) as two:
        msg = {"mType": 1, "content": "hi", "quote": "q", "atUsers": [ben.id], "atAll": True}
        await one.chat("", chatType=1, recvId=ben.id, msg=msg)
        echo = await one.wait(lambda frame: frame["frameType"] == 0)
        got = await two.wait(lambda frame: frame["frameType"] == 0)
        assert echo["id"] == got["id"] and echo["id"].isdigit()
        assert (echo["data"]["contentType"], got["data"]["contentType"]) == (7, 0)
        (conversation,) = [each for each in stage.chat.conversations.values() if int(anna.id) in each.members]
        assert got == {
            "id": got["id"],
            "frameType": 0,
            "formId": anna.id,
            "data": {
                "conversationId": str(conversation.id),
                "chatType": 1,
                "sendId": anna.id,
                "sendTime": conversation.messages[0].created_at * 1_000_000,
                "contentType": 0,
                "msg": {"mType": 1, "content": "hi", "quote": "q", "atAll": True},
                "recvId": ben.id,
            },
        }
        await two.ask("chat.markChat", {"chatType": 1, "recvId": anna.id, "msgIds": [got["id"]]})
        assert conversation.read[int(ben.id)] == 1
        receipt = await one.wait(lambda frame: frame["frameType"] == 0)
        assert (receipt["formId"], receipt["data"]["contentType"]) == (ben.id, 6)
        assert list(receipt["data"]["msg"]["readRecords"]) == [got["id"]]
        recall = {"conversationId": str(conversation.id), "msgId": got["id"]}
        assert (await one.ask("chat.recall", recall))["frameType"] == 3
        recalled = await two.wait(lambda frame: frame["frameType"] == 0)
        assert (recalled["id"], recalled["data"]["contentType"], recalled["data"]["recalledBy"]) == (
            got["id"],
            9,
            anna.id,
        )


async def test_b2_in_a_group_names_the_member_as_receiver(stage: Stage) -> None:
    anna, ben, cleo = await stage.people(3)
    id = stage.chat.create(int(anna.id), int(ben.id), int(cleo.id))
    async with (
        dialect(stage.url, "B2", anna.token) as one,
        dialect(stage.url, "B2", ben.token) as two,
        dialect(stage.url, "B2", cleo.token) as three,
    ):
        await until(lambda: len(stage.gateway.sockets.hub.conversations.get(id, _Nobody).connections) == 3)
        await one.chat("all", chatType=2, conversationId=str(id), recvId="1")
        for client, member in ((two, ben), (three, cleo)):
            frame = await client.wait(lambda frame: frame["frameType"] == 0)
            assert (frame["data"]["chatType"], frame["data"]["recvId"]) == (2, member.id)


async def test_a_derivative_numbers_the_other_way(servers: Servers, stage: Stage) -> None:
    async with gateway_of(stage.chat, servers, stage.user, HITOK_COMPAT="hichat-derivative") as other:
        anna, ben = await other.people(2)
        async with dialect(other.url, "B2", anna.token) as one, dialect(other.url, "B2", ben.token) as two:
            msg = {"mType": 0, "content": "hi"}
            assert (await one.chat("", method="conversation.chat", chatType=2, recvId=ben.id, msg=msg))[
                "frameType"
            ] == 3
            frame = await two.wait(lambda frame: frame["frameType"] == 0)
            assert (frame["method"], frame["data"]["chatType"], frame["data"]["msg"]) == ("push", 2, msg)


async def test_what_a_dialect_refuses_is_told_in_its_own_way(stage: Stage) -> None:
    anna, ben = await stage.people(2)
    stage.chat.strangers.add(int(ben.id))
    async with dialect(stage.url, "A", anna.token) as client:
        for content in ({"content": "x", "to_type": "all", "to": 0}, {"content": "x", "to_type": "ai", "to": 1}):
            await client.send({"type": "chat", "content": json.dumps(content)})
            assert (await client.wait(lambda frame: True))["type"] == "error"
        await client.say(ben.id, "hello?")
        assert (await client.wait(lambda frame: True))["type"] == "error"
        await client.send({"type": "wave", "content": "{}"})
        assert await client.drain() == []
    async with dialect(stage.url, "B1", anna.token) as client:
        await client.say(ben.id, "hello?")
        assert (await client.wait(lambda frame: True))["frameType"] == 2
        await client.send({"frameType": 0, "method": "chat.everybody"})
        assert (await client.wait(lambda frame: True))["frameType"] == 2
    async with dialect(stage.url, "B2", anna.token) as client:
        answer = await client.chat("hello?", chatType=1, recvId=ben.id)
        assert answer["frameType"] == 2 and answer["data"]
        assert (await client.ask("chat.everybody", {}))["frameType"] == 2
        assert (await client.chat("x", chatType=7, recvId=ben.id))["frameType"] == 2


async def test_a_takes_what_its_own_front_end_sends(stage: Stage) -> None:
    anna, ben = await stage.people(2)
    frame = {"type": "private", "content": "hi", "to_type": "user", "to": ben.id, "message_type": "text"}
    async with dialect(stage.url, "A", anna.token) as client, dialect(stage.url, "A", ben.token) as other:
        await client.send(frame)
        assert await other.texts(1) == ["hi"]
        await client.send(frame | {"to_type": "all", "to": 0})
        assert (await client.wait(lambda frame: True))["type"] == "error"


async def test_a_pages_back_through_all_its_conversations_by_time(stage: Stage) -> None:
    anna, ben, cleo = await stage.people(3)
    ids = [stage.chat.create(int(anna.id), int(other.id)) for other in (ben, cleo)]
    for number in range(240):
        message = await stage.chat.write(ids[number % 2], int(ben.id), str(number), b'{"text":"%d"}' % number)
        message.created_at = 1_700_000_000_000 + number * 10
    async with dialect(stage.url, "A", anna.token) as client:
        await client.texts(50)
        before, texts = 2**53, list[str]()
        while len(texts) < 240:
            await client.history(before=before, count=37)
            page = [
                await client.wait(lambda frame: frame["type"] == "history") for _ in range(min(37, 240 - len(texts)))
            ]
            texts += [frame["content"] for frame in page]
            before = page[-1]["timestamp"]
    assert texts == [str(number) for number in reversed(range(240))]


@pytest.mark.parametrize("name", NAMES)
async def test_the_limit_of_sends_is_the_users(servers: Servers, stage: Stage, name: str) -> None:
    async with gateway_of(stage.chat, servers, stage.user, HITOK_RATE_LIMIT_SCALE="1") as limited:
        anna, ben = await limited.people(2)
        async with (
            dialect(limited.url, name, anna.token) as one,
            dialect(limited.url, name, anna.token) as two,
            limited.socket(ben) as ours,
        ):
            began, refused, got = time.monotonic(), 0, 0
            for number in range(15):
                await asyncio.gather(*(client.say(ben.id, f"{number}") for client in (one, two)))

            async def heard() -> bool:
                nonlocal refused, got
                for client in (one, two):
                    refused += sum(map(_is_error, await client.drain(0.1)))
                got += sum(frame["type"] == "message" for frame in await ours.drain(0.1))
                return refused + got == 30 or (name == "B2" and got >= 20)  # its helper takes the errors

            async with asyncio.timeout(10):
                while not await heard():
                    pass
            assert 20 <= got <= 21 + 5 * (time.monotonic() - began)


def _is_error(frame: dict[str, object]) -> bool:
    return frame.get("type") == "error" or frame.get("frameType") == 2


HOSTILE = [
    "",
    "nonsense",
    "[]",
    "7",
    "null",
    "[" * 5_000,
    '{"type":7}',
    '{"type":"chat","content":{}}',
    '{"type":"chat","content":"{"}',
    '{"type":"chat","content":"null"}',
    '{"type":"chat","content":"{\\"content\\":7,\\"to_type\\":[],\\"to\\":{}}"}',
    '{"type":"chat","content":"x","to_type":"user","to":"' + "9" * 5_000 + '"}',
    '{"type":"history","content":"{\\"before\\":-1,\\"count\\":1e99}"}',
    '{"type":"history","content":"{\\"before\\":9223372036854775807,\\"count\\":-5}"}',
    '{"frameType":"0"}',
    '{"frameType":99,"id":"x"}',
    '{"frameType":0,"method":"chat.user"}',
    '{"frameType":0,"method":"chat.user","userId":{"a":1},"data":1}',
    '{"frameType":0,"id":"h1","method":"chat.user","data":7}',
    '{"frameType":0,"id":"h2","method":"chat.user","data":{"chatType":1,"recvId":"٣","msg":{"mType":1,"content":"x"}}}',
    '{"frameType":0,"id":"h3","method":"chat.user","data":{"chatType":1,"recvId":"1","msg":{"mType":1e9,"content":"x"}}}',
    '{"frameType":0,"id":"h4","method":"chat.markChat","data":{"conversationId":"' + "1" * 5_000 + '"}}',
    '{"frameType":0,"id":"h5","method":"chat.recall","data":{"conversationId":1,"msgId":"x"}}',
    '{"frameType":3,"id":"h6","ackSeq":99999999999999999999}',
    '{"frameType":3,"id":"never sent","ackSeq":2}',
    '{"frameType":0,"id":"' + "x" * 5_000 + '","method":"chat.ping"}',
]


@pytest.mark.parametrize("name", NAMES)
async def test_hostile_frames_harm_nobody(stage: Stage, name: str, caplog: pytest.LogCaptureFixture) -> None:
    dice = random.Random(14)
    anna, ben = await stage.people(2)
    sockets = stage.gateway.sockets.hub
    for start in range(0, len(HOSTILE), 9):
        async with dialect(stage.url, name, anna.token) as client:
            for text in HOSTILE[start : start + 9]:
                await client.ws.send(text)
                letters = list(text[:200])
                dice.shuffle(letters)
                await client.ws.send("".join(letters))
            await client.say(ben.id, "still here") if name != "B2" else None
            await client.drain(0.2)
            held = sockets.users[int(anna.id)][-1]
            await until(lambda held=held: held.queued_bytes == held.tasks.pending == 0)
            assert client.ws.state.name == "OPEN"
    await until(lambda: int(anna.id) not in sockets.users)
    async with dialect(stage.url, name, anna.token) as client:
        for _ in range(30):
            await client.ws.send("nonsense")
        assert await client.closed() == 4502
    async with dialect(stage.url, name, anna.token) as client:
        await client.ws.send(b"\x00binary")
        assert await client.closed() == 4502


async def test_b1_lists_friends_who_are_online(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    anna = await stage.person()

    async def friends() -> list[int]:
        return [42]

    dialects = stage.gateway.sockets._dialects
    monkeypatch.setattr(dialects, "_tools", dialects._tools._replace(online_friends=friends))
    async with dialect(stage.url, "B1", anna.token) as client:
        await client.send({"frameType": 0, "method": "user.online"})
        assert await client.wait(lambda frame: True) == {"frameType": 0, "formId": anna.id, "data": ["42"]}


def test_an_id_of_a_frame_makes_one_key() -> None:
    id = uuid.uuid4()
    assert client_msg_id_of(id.hex) == client_msg_id_of(str(id)) == str(id)
    assert client_msg_id_of("7") == client_msg_id_of("7") != client_msg_id_of("8")


@pytest.mark.parametrize("name", NAMES)
async def test_an_overloaded_gateway_refuses_in_the_dialects_own_words(stage: Stage, name: str) -> None:
    anna, ben = await stage.people(2)
    refused = {"A": ("type", "error"), "B1": ("frameType", 2), "B2": ("frameType", 2)}[name]
    async with dialect(stage.url, name, anna.token) as client, stage.socket(ben) as ours:
        with overloaded():
            if name == "B2":
                assert (await client.chat("hi", "once", chatType=1, recvId=ben.id))["frameType"] == 2
            else:
                await client.say(ben.id, "hi")
                assert await client.wait(lambda frame: frame.get(refused[0]) == refused[1])
        if name == "B2":  # the same frame again: it was refused, so it is not taken for a repeat
            assert (await client.chat("hi", "once", chatType=1, recvId=ben.id))["frameType"] == 3
        else:
            await client.say(ben.id, "hi")
        assert (await ours.event("message"))["body"] == {"text": "hi"}
