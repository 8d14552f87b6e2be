"""Editing, recalling, reading: what they do to messages, revs, counts and the frames of others."""

import asyncio
import json
import random

from protos.chat.v1 import conversations_pb2 as pb
from tests.support.chat import (
    Running,
    conversation,
    deliver,
    deliver_all,
    direct,
    edit,
    execute,
    friends,
    group,
    group_conversation,
    history,
    listed,
    read,
    recall,
    send,
    watching,
    whole_history,
)
from tests.support.social import Running as Social
from tests.support.social import act, group_with, new_users, outcomes, refusal


async def test_an_edit(chat: Running, social: Social) -> None:
    a, b = await friends(social)
    async with watching(chat) as frames:
        ack = await send(chat, a, direct(b), "helo", mentions=[b])
        cv = ack.conversation_id
        rev = await edit(chat, a, cv, 1, "hello")
        assert rev == ack.rev + 1 == await edit(chat, a, cv, 1, "hello"), "the same again changes nothing"
        (message,) = await history(chat, b, cv)
        assert json.loads(message.body) == {"text": "hello"} and message.edited_at and not message.recalled_at
        assert (message.rev, message.seq, message.message_id) == (rev, 1, ack.message_id)
        data = await frames.expect(f"push.conv.{cv}", "message.updated", rev=rev)
        assert data["body"] == {"text": "hello"} and data["edited_at"] and data["mentions"] == [str(b)]
    assert await refusal(edit(chat, a, cv, 2)) == "MESSAGE_NOT_FOUND"
    assert await refusal(edit(chat, b, cv, 1)) == "EDIT_FORBIDDEN"
    assert await refusal(edit(chat, a, cv, 1, "x" * 50_000)) == "MESSAGE_TOO_LARGE"


async def test_a_recall(chat: Running, social: Social) -> None:
    a, b = await friends(social)
    async with watching(chat) as frames:
        ack = await send(chat, a, direct(b), "oops", mentions=[b])
        cv = ack.conversation_id
        assert await refusal(recall(chat, b, cv, 1)) == "EDIT_FORBIDDEN", "the peer is no manager"
        rev = await recall(chat, a, cv, 1)
        assert rev == ack.rev + 1 == await recall(chat, a, cv, 1)
        (message,) = await history(chat, b, cv)
        assert message.body == b"null" and message.recalled_at and list(message.mentions) == []
        data = await frames.expect(f"push.conv.{cv}", "message.recalled", rev=rev)
        assert data["body"] is None and data["recalled_at"] and data["seq"] == 1
    assert await refusal(edit(chat, a, cv, 1)) == "EDIT_FORBIDDEN"
    (summary,) = await listed(chat, b)
    assert summary.unread == 0 and summary.last_message.recalled_at


async def test_a_gateway_marks_for_many_at_once_what_they_received(chat: Running, social: Social) -> None:
    a, b = await friends(social)
    (stranger,) = new_users(1)
    cv = [await send(chat, a, direct(b)) for _ in range(5)][-1].conversation_id
    async with watching(chat) as frames:
        await deliver_all(chat, (b, cv, 2), (b, cv, 4), (stranger, cv, 1), (a, cv, 1_000), (b, cv + 1, 1))
        rows = "SELECT user_id, delivered_seq FROM conversation_member WHERE conversation_id = :id"
        found = await execute(chat, rows, id=cv)
        assert dict(map(tuple, found)) == {a: 5, b: 4}
        await frames.expect(f"push.conv.{cv}", "receipt", delivered_seq=4)
        await deliver_all(chat, (b, cv, 3))
        assert await deliver(chat, b, cv, 1) == 4
        await asyncio.gather(*(deliver_all(chat, (a, cv, 5), (b, cv, 5)) for _ in range(20)))
        assert await deliver(chat, b, cv, 1) == 5


async def test_reading_never_goes_back(chat: Running, social: Social) -> None:
    a, b = await friends(social)
    cv = [await send(chat, a, direct(b)) for _ in range(5)][-1].conversation_id
    async with watching(chat) as frames:
        assert await deliver(chat, b, cv, 3) == 3
        answer = await read(chat, b, cv, 2)
        assert (answer.read_seq, answer.unread) == (2, 3)
        assert await deliver(chat, b, cv, 1) == 3
        assert (await read(chat, b, cv, 1)).read_seq == 2
        answer = await read(chat, b, cv, 1_000)
        assert (answer.read_seq, answer.unread) == (5, 0), "nobody has read what was not sent"
        await frames.expect(f"push.conv.{cv}", "receipt", read_seq=5)
        receipts = [(headers, frame["data"]) for _, headers, frame in frames.seen if frame["type"] == "receipt"]
        assert [(data["delivered_seq"], data["read_seq"]) for _, data in receipts] == [(3, 0), (3, 2), (5, 5)]
        assert {headers["key"] for headers, _ in receipts} == {f"receipt:{cv}:{b}"}
        assert {data["user_id"] for _, data in receipts} == {str(b)}


async def test_receipts_of_a_large_group_are_for_who_asks(chat: Running, social: Social) -> None:
    users = new_users(5)
    group_id = await group_with(social, *users, approval=False)
    cv = await group_conversation(chat, group_id, *users)
    count = "UPDATE conversation SET member_count = :count WHERE id = :id"
    await execute(chat, count, count=101, id=cv)
    async with watching(chat) as frames:
        await send(chat, users[0], group(group_id))
        assert not (await listed(chat, users[1]))[0].push_receipts
        await read(chat, users[1], cv, 1)
        await frames.expect(f"push.user.{users[1]}", "receipt", read_seq=1)
        assert frames.of(f"push.conv.{cv}", "receipt") == []
    await execute(chat, count, count=5, id=cv)
    request = pb.GetReceiptsRequest(conversation_id=cv, limit=2)
    seen: dict[int, int] = {}
    while page := (await act(users[0], chat.conversations.GetReceipts, request)).members:
        seen |= {member.user_id: member.read_seq for member in page}
        request.after_user_id = page[-1].user_id
    assert seen == dict.fromkeys(users, 0) | {users[1]: 1}


async def test_unread_is_what_a_count_by_hand_gives(chat: Running, social: Social) -> None:
    seed = random.randrange(10**6)
    print("seed", seed)
    dice = random.Random(seed)
    users = await friends(social, 3)
    group_id = await group_with(social, *users, approval=False)
    cvs = [
        await group_conversation(chat, group_id, *users),
        (await send(chat, users[0], direct(users[1]))).conversation_id,
    ]
    for _ in range(60):
        cv = dice.choice(cvs)
        user = dice.choice(users[: 3 if cv == cvs[0] else 2])
        last = max((m.seq for m in await history(chat, user, cv, limit=1)), default=0)
        seq = dice.randint(1, max(last, 1))
        match dice.randrange(5):
            case 0 | 1 | 2:
                await send(chat, user, conversation(cv))
            case 3:
                await read(chat, user, cv, seq)
            case 4:
                await refusal(recall(chat, user, cv, seq))
    for user in users:
        for summary in await listed(chat, user):
            messages = await whole_history(chat, user, summary.conversation_id)
            unread = [m for m in messages if m.seq > summary.read_seq and m.sender_id != user and not m.recalled_at]
            assert summary.unread == len(unread), seed
            assert summary.last_message == messages[-1]


async def test_unread_is_counted_up_to_a_hundred(chat: Running, social: Social) -> None:
    a, b = await friends(social)
    for _ in range(4):
        await asyncio.gather(*(send(chat, a, direct(b)) for _ in range(30)))
    (summary,) = await listed(chat, b)
    assert (summary.unread, summary.last_seq) == (100, 120)
    assert (await listed(chat, a))[0].unread == 0


async def test_changes_at_once_each_get_a_rev(chat: Running, social: Social) -> None:
    a, b = await friends(social)
    acks = [await send(chat, a, direct(b), str(n)) for n in range(10)]
    cv = acks[0].conversation_id
    edits = [edit(chat, a, cv, ack.seq, "new") for ack in acks]
    recalls = [recall(chat, a, cv, ack.seq) for ack in acks]
    sends = [send(chat, b, direct(a)) for _ in range(10)]
    assert set(await outcomes(*edits, *recalls, *sends)) <= {"", "EDIT_FORBIDDEN"}
    messages = await whole_history(chat, b, cv)
    assert len({m.rev for m in messages}) == len(messages) == 20
