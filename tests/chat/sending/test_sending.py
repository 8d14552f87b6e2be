"""Sending: numbers without gaps, retries, order, and what a message may be."""

import asyncio
import json
import time
from collections import Counter

import pytest

from protos.chat.v1 import conversations_pb2 as pb
from services.chat.sending.content import MAX_BODY
from tests.support.chat import (
    Running,
    conversation,
    direct,
    friends,
    group,
    group_conversation,
    history,
    listed,
    new_key,
    read,
    say,
    send,
    watching,
    whole_history,
)
from tests.support.social import Running as Social
from tests.support.social import act, group_with, new_users, refusal


async def test_the_first_message_makes_the_conversation(chat: Running, social: Social) -> None:
    a, b = await friends(social)
    first = await send(chat, a, direct(b), "你好")
    assert (first.seq, first.duplicate) == (1, False) and abs(first.created_at / 1000 - time.time()) < 5
    answer = await send(chat, b, direct(a), "hello")
    assert answer.conversation_id == first.conversation_id and answer.seq == 2 and answer.rev == first.rev + 1
    assert (await send(chat, a, conversation(first.conversation_id))).seq == 3
    messages = await whole_history(chat, b, first.conversation_id)
    assert [(m.seq, m.sender_id) for m in messages] == [(1, a), (2, b), (3, a)]
    assert json.loads(messages[0].body) == {"text": "你好"} and messages[0].message_id == first.message_id


async def test_fifty_who_write_at_once_leave_no_gap_and_keep_their_order(chat: Running, social: Social) -> None:
    """Two conversations in turn; the messages of each sender are numbered in the order of sending."""
    users = new_users(50)
    group_ids = [await group_with(social, *users, approval=False) for _ in range(2)]
    rooms = [await group_conversation(chat, group_id, *users) for group_id in group_ids]

    async def write(user: int) -> list[pb.SendResponse]:
        acks: list[pb.SendResponse] = []
        for start in range(0, 8, 2):  # two on their way at a time
            some = (send(chat, user, group(group_ids[n % 2]), f"{user}:{n}") for n in range(start, start + 2))
            acks += await asyncio.gather(*some)
        return acks

    acks = await asyncio.gather(*map(write, users))
    for place, room in enumerate(rooms):
        mine = [[ack for ack in of_user if ack.conversation_id == room] for of_user in acks]
        assert sorted(ack.seq for of_user in mine for ack in of_user) == list(range(1, 201))
        assert all([ack.seq for ack in of_user] == sorted(ack.seq for ack in of_user) for of_user in mine)
        messages = await whole_history(chat, users[0], room)
        said = {json.loads(m.body)["text"]: m.seq for m in messages}
        assert said == {
            f"{user}:{n}": ack.seq
            for user, of_user in zip(users, mine, strict=True)
            for n, ack in zip(range(place, 8, 2), of_user, strict=True)
        }
        assert len({m.rev for m in messages}) == 200


async def test_twenty_retries_at_once_are_one_message(chat: Running, social: Social) -> None:
    a, b = await friends(social)
    key = new_key()
    acks = await asyncio.gather(*(send(chat, a, direct(b), "once", key=key) for _ in range(20)))
    assert Counter(ack.duplicate for ack in acks) == {False: 1, True: 19}
    assert len({(ack.message_id, ack.seq, ack.rev, ack.created_at, ack.client_msg_id) for ack in acks}) == 1
    later = await send(chat, a, conversation(acks[0].conversation_id), "once", key=key.upper())
    assert later.duplicate and later.message_id == acks[0].message_id
    # Another's message with that key is another message.
    assert not (await send(chat, b, direct(a), "mine", key=key)).duplicate
    assert len(await whole_history(chat, a, acks[0].conversation_id)) == 2


async def test_two_who_write_first_at_once_get_one_conversation(chat: Running, social: Social) -> None:
    for _ in range(5):
        a, b = await friends(social)
        acks = await asyncio.gather(*(send(chat, *pair) for pair in [(a, direct(b)), (b, direct(a))] * 5))
        assert len({ack.conversation_id for ack in acks}) == 1 and {ack.seq for ack in acks} == set(range(1, 11))
        assert len(await listed(chat, a)) == len(await listed(chat, b)) == 1


async def test_a_message_is_pushed_once_as_the_client_gets_it(chat: Running, social: Social) -> None:
    a, b = await friends(social)
    async with watching(chat) as frames:
        ack = await send(chat, a, direct(b), {"text": "hi", "n": 1.5}, mentions=[b])
        subject = f"push.conv.{ack.conversation_id}"
        data = await frames.expect(subject, "message")
        await asyncio.sleep(0.1)
        assert data == {
            "conversation_id": str(ack.conversation_id),
            "rev": ack.rev,
            "seq": 1,
            "message_id": str(ack.message_id),
            "client_msg_id": ack.client_msg_id,
            "sender_id": str(a),
            "content_type": "text",
            "body": {"text": "hi", "n": 1.5},
            "mentions": [str(b)],
            "created_at": data["created_at"],
        }
        assert data["created_at"].endswith("Z")
        headers = [headers for name, headers, _ in frames.seen if name == subject]
        assert headers == [{"rev": str(ack.rev), "seq": str(ack.seq)}]
        joined = [(name, headers) for name, headers, frame in frames.seen if frame["type"] == "conversation"]
        cv = str(ack.conversation_id)
        assert joined == [(f"push.user.{user}", {"joined": cv}) for user in sorted((a, b))]
        places = [name for name, *_ in frames.seen]
        assert places.index(f"push.user.{b}") < places.index(subject), "gateways have to know before it comes"


BAD = [
    ("MESSAGE_INVALID", {"key": "no-uuid"}),
    ("MESSAGE_INVALID", {"kind": "gif"}),
    ("MESSAGE_INVALID", {"reply_to": 99}),
    ("MESSAGE_INVALID", {"reply_to": -1}),
    ("MESSAGE_INVALID", {"mentions": [-1]}),
    ("MESSAGE_INVALID", {"mentions": range(1, 200)}),
    ("MESSAGE_INVALID", {"body": {"text": "nul \0"}}),
    ("MESSAGE_INVALID", {"body": {"\0": 1}}),
    ("MESSAGE_TOO_LARGE", {"body": "x" * MAX_BODY}),
]


@pytest.mark.parametrize(("reason", "bad"), BAD)
async def test_what_no_message_may_be(chat: Running, social: Social, reason: str, bad: dict[str, object]) -> None:
    a, b = await friends(social)
    await send(chat, a, direct(b))
    assert await refusal(send(chat, a, direct(b), **bad)) == reason


@pytest.mark.parametrize("body", [b"", b"{", b"NaN", b"1e999", b'"\xff"', b"[" * 9000, b"1" * 5000])
async def test_a_body_is_json(chat: Running, social: Social, body: bytes) -> None:
    a, b = await friends(social)
    request = say(direct(b))
    request.body = body
    assert await refusal(act(a, chat.conversations.Send, request)) == "MESSAGE_INVALID"


async def test_a_bad_one_spoils_nobody_elses(chat: Running, social: Social) -> None:
    a, b = await friends(social)
    cv = (await send(chat, a, direct(b))).conversation_id
    calls = [send(chat, a, conversation(cv), str(n), reply_to=1000 if n % 2 else 0) for n in range(40)]
    results = await asyncio.gather(*map(refusal, calls))
    assert Counter(results) == {"": 20, "MESSAGE_INVALID": 20}
    assert [m.seq for m in await whole_history(chat, a, cv)] == list(range(1, 22))


@pytest.mark.parametrize("body", [None, 0, -0.0, "", [], {}, "𝕏", {"a": [1, {"b": None}]}, 10**30, 1e22, 5e-324, True])
async def test_a_body_comes_back_as_it_was_sent(chat: Running, social: Social, body: object) -> None:
    a, b = await friends(social)
    request = say(direct(b))
    request.body = json.dumps(body).encode()
    ack = await act(a, chat.conversations.Send, request)
    assert json.loads((await history(chat, b, ack.conversation_id))[0].body) == body


async def test_pages_of_large_messages_are_shorter(chat: Running, social: Social) -> None:
    a, b = await friends(social)
    large = "x" * (MAX_BODY - 100)
    acks = [await send(chat, a, direct(b), large) for _ in range(80)]
    cv = acks[0].conversation_id
    assert 0 < len(await history(chat, b, cv)) < 80
    assert [m.seq for m in await whole_history(chat, b, cv)] == list(range(1, 81))
    assert (await read(chat, b, cv, 80)).unread == 0
