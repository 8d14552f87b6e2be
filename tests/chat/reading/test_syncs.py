"""Syncs: what a client cached, the frames it got and its sync together equal the conversation."""

import asyncio
import json
import random
from datetime import UTC, datetime
from typing import Any

from protos.chat.v1 import conversations_pb2 as pb
from tests.support.chat import (
    Frames,
    Running,
    conversation,
    deliver,
    direct,
    edit,
    friends,
    group_conversation,
    read,
    recall,
    send,
    sync,
    until,
    watching,
    whole_history,
)
from tests.support.social import Running as Social
from tests.support.social import act, group_with, join, new_user, refusal, remove, roles_in


def in_frame(message: pb.Message) -> dict[str, Any]:
    """The message as a frame shows it, as a gateway makes it."""

    def moment(ms: int) -> str:
        return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

    data = {
        "conversation_id": str(message.conversation_id),
        "rev": message.rev,
        "seq": message.seq,
        "message_id": str(message.message_id),
        "client_msg_id": message.client_msg_id,
        "sender_id": str(message.sender_id),
        "content_type": message.content_type,
        "body": json.loads(message.body),
        "reply_to_seq": message.reply_to_seq,
        "mentions": [str(id) for id in message.mentions],
        "created_at": moment(message.created_at),
        "edited_at": message.edited_at and moment(message.edited_at),
        "recalled_at": message.recalled_at and moment(message.recalled_at),
    }
    return {name: value for name, value in data.items() if value or name in ("body", "seq", "rev")}


class Client:
    """A client of one user for one conversation, which follows the rules of docs/contract/chat.md."""

    def __init__(self, chat: Running, user: int, cv: int, frames: Frames) -> None:
        self.chat, self.user, self.cv, self.frames = chat, user, cv, frames
        self.rev, self.place = 0, 0
        self.messages: dict[int, dict[str, Any]] = {}
        self.members: dict[int, tuple[bool, int, int]] = {}
        self.syncs = 0

    async def reconnect(self) -> None:
        """Loses all frames up to now."""
        self.place = len(self.frames.seen)
        await self.catch_up()

    async def catch_up(self) -> None:
        self.syncs += 1
        answer = (await sync(self.chat, self.user, {self.cv: self.rev}))[self.cv]
        assert not answer.limited and answer.from_rev == self.rev
        for message in answer.messages:
            assert self.rev < message.rev <= answer.to_rev
            self.messages[message.seq] = in_frame(message)
        for member in answer.members:
            self.members[member.user_id] = (member.left, member.read_seq, member.delivered_seq)
        self.rev = answer.to_rev

    async def take_frames(self) -> None:
        while self.place < len(self.frames.seen):
            subject, headers, frame = self.frames.seen[self.place]
            self.place += 1
            if subject != f"push.conv.{self.cv}":
                continue
            data, rev = frame["data"], int(headers.get("rev", 0))
            if frame["type"] == "receipt":
                left = self.members.get(int(data["user_id"]), (False, 0, 0))[0]
                self.members[int(data["user_id"])] = (left, data["read_seq"], data["delivered_seq"])
            elif rev > self.rev + 1:
                await self.catch_up()
            elif rev == self.rev + 1:
                self.rev = rev
                self.apply(frame["type"], data)

    def apply(self, kind: str, data: dict[str, Any]) -> None:
        if kind.startswith("message"):
            self.messages[data["seq"]] = data
        elif kind == "member":
            self.members[int(data["user_id"])] = (data["left"], data["read_seq"], data["delivered_seq"])

    async def is_current(self) -> bool:
        await self.take_frames()
        revs = await self.chat.conversations.BatchGetRevs(pb.BatchGetRevsRequest(conversation_ids=[self.cv]))
        return self.rev == revs.revs[0].rev


async def test_what_is_kept_plus_what_comes_is_what_there_is(chat: Running, social: Social) -> None:
    for _ in range(3):
        await model_run(chat, social, random.randrange(10**6))


async def model_run(chat: Running, social: Social, seed: int) -> None:
    print("seed", seed)
    dice = random.Random(seed)
    users = await friends(social, 3)
    group_id = await group_with(social, *users, approval=False)
    rooms = {await group_conversation(chat, group_id, *users): users}
    rooms[(await send(chat, users[0], direct(users[1]))).conversation_id] = users[:2]
    guest = new_user()
    async with watching(chat) as frames:
        clients = [Client(chat, user, cv, frames) for cv, there in rooms.items() for user in there]
        for client in clients:
            await client.reconnect()
        for _ in range(40):
            await step(chat, dice, dice.choice(clients))
            if dice.random() < 0.2:
                comes = dice.random() < 0.5
                await refusal(join(social, guest, group_id) if comes else remove(social, users[0], group_id, guest))
            if dice.random() < 0.5:
                await dice.choice(clients).take_frames()
        await group_conversation(chat, group_id, *await roles_in(social, users[0], group_id))
        for client in clients:
            await until(client.is_current)
            await until_receipts(client)
            assert client.messages == {m.seq: in_frame(m) for m in await whole_history(chat, client.user, client.cv)}, (
                seed
            )
            fresh = Client(chat, client.user, client.cv, frames)
            await fresh.reconnect()
            assert fresh.messages == client.messages and fresh.rev == client.rev, seed
            assert {u: m[0] for u, m in fresh.members.items()} == {u: m[0] for u, m in client.members.items()}, seed


async def step(chat: Running, dice: random.Random, client: Client) -> None:
    seq = dice.randint(1, max(client.messages, default=1))
    match dice.randrange(7):
        case 0 | 1 | 2:
            reply_to = dice.choice([0, seq]) if client.messages else 0
            await send(chat, client.user, conversation(client.cv), f"{dice.random()}", reply_to=reply_to)
        case 3:
            await refusal(edit(chat, client.user, client.cv, seq, f"edited {dice.random()}"))
        case 4:
            await refusal(recall(chat, client.user, client.cv, seq))
        case 5:
            await dice.choice([read, deliver])(chat, client.user, client.cv, seq)
        case 6:
            await client.reconnect()


async def until_receipts(client: Client) -> None:
    """Waits until the receipts of a direct conversation agree too."""
    fresh = (await sync(client.chat, client.user, {client.cv: 0}))[client.cv].members
    positions = {m.user_id: (m.left, m.read_seq, m.delivered_seq) for m in fresh if m.rev == 0}

    async def agree() -> bool:
        await client.take_frames()
        return positions.items() <= client.members.items()

    await until(agree)


async def test_far_behind_is_limited(chat: Running, social: Social) -> None:
    a, b = await friends(social)
    cv = (await send(chat, a, direct(b))).conversation_id
    for _ in range(4):
        await asyncio.gather(*(send(chat, a, conversation(cv)) for _ in range(50)))
    behind = (await sync(chat, b, {cv: 0}))[cv]
    assert (behind.limited, len(behind.messages), behind.to_rev) == (True, 0, 201)
    near = (await sync(chat, b, {cv: 1}))[cv]
    assert not near.limited and [m.seq for m in near.messages] == list(range(2, 202))
    ahead = (await sync(chat, b, {cv: 5_000}))[cv]
    assert (len(ahead.messages), ahead.to_rev, ahead.limited) == (0, 201, True)  # a backup was restored


async def test_an_answer_too_large_is_limited(chat: Running, social: Social) -> None:
    me, *peers = await friends(social, 3)
    rooms = []
    for peer in peers:
        for _ in range(30):
            ack = await send(chat, peer, direct(me), "x" * 40_000)
        rooms.append(ack.conversation_id)
    answer = await sync(chat, me, dict.fromkeys(rooms, 0))
    assert [(answer[cv].limited, len(answer[cv].messages)) for cv in rooms] == [(False, 30), (True, 0)]


async def test_each_changed_row_comes_once_by_rev(chat: Running, social: Social) -> None:
    a, b = await friends(social)
    acks = [await send(chat, a, direct(b), str(n)) for n in range(3)]
    cv = acks[0].conversation_id
    await edit(chat, a, cv, 1)
    await edit(chat, a, cv, 1, "again")
    await recall(chat, a, cv, 2)
    answer = (await sync(chat, b, {cv: acks[0].rev}))[cv]
    assert [m.seq for m in answer.messages] == [3, 1, 2]
    assert {m.user_id for m in answer.members} == {a, b}
    assert answer.to_rev == answer.messages[-1].rev == 6


async def test_two_hundred_at_a_time(chat: Running, social: Social) -> None:
    points = [pb.SyncPoint(conversation_id=n) for n in range(201)]
    user = new_user()
    request = pb.BatchSyncRequest(points=points)
    assert await refusal(act(user, chat.conversations.BatchSync, request)) == "BATCH_TOO_LARGE"
    assert await sync(chat, user, dict.fromkeys(range(200), 0)) == {}
    assert await sync(chat, user, {}) == {}
