"""Permissions: a table for sending, a table for changing, and conversations of others do not exist."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from protos.chat.v1 import conversations_pb2 as pb
from protos.chat.v1.conversations_pb2 import GetReceiptsRequest
from services.chat.membership.directory import ConversationDirectory, ConversationRef
from tests.support.chat import (
    Running,
    conversation,
    deliver,
    direct,
    edit,
    execute,
    friends,
    group,
    group_conversation,
    history,
    listed,
    new_key,
    read,
    recall,
    running_pair,
    search,
    send,
    sync,
    until,
    watching,
    whole_history,
)
from tests.support.servers import Servers
from tests.support.social import Running as Social
from tests.support.social import (
    act,
    add,
    block,
    dismiss,
    group_with,
    join,
    leave,
    new_user,
    new_users,
    outcomes,
    refusal,
    remove,
    set_role,
    unblock,
    unfriend,
)


async def settled(chat: Running, user: int, to: pb.Target, reason: str) -> None:
    """Waits until an event has ended a cached yes; after that the answer stays."""

    async def refused() -> bool:
        return await refusal(send(chat, user, to)) == reason

    await until(refused)
    assert await refusal(send(chat, user, to)) == reason


async def test_strangers_may_not_write_and_friends_may(chat: Running, social: Social) -> None:
    a, b = new_users(2)
    assert await refusal(send(chat, a, direct(b))) == "NOT_FRIENDS"
    assert await refusal(send(chat, a, direct(a))) == "NOT_FRIENDS"
    assert await refusal(send(chat, a, direct(-1))) == "NOT_FRIENDS"
    assert await listed(chat, a) == []
    await add(social, a, b)
    ack = await send(chat, a, direct(b))  # a no is not remembered
    await unfriend(social, b, a)
    for user, peer in ((a, b), (b, a)):
        await settled(chat, user, direct(peer), "NOT_FRIENDS")
        assert await refusal(send(chat, user, conversation(ack.conversation_id))) == "NOT_FRIENDS"
        assert await refusal(edit(chat, user, ack.conversation_id, 1)) == "NOT_FRIENDS"
    assert await whole_history(chat, a, ack.conversation_id), "what was said stays"


@pytest.mark.parametrize("blocker", [0, 1])
async def test_nothing_passes_a_block_either_way(chat: Running, social: Social, blocker: int) -> None:
    pair = await friends(social)
    cv = (await send(chat, pair[0], direct(pair[1]))).conversation_id
    await block(social, pair[blocker], pair[1 - blocker])
    for user, peer in (pair, pair[::-1]):
        reason = "BLOCKED" if user == pair[blocker] else "NOT_FRIENDS"  # as a stranger hears
        await settled(chat, user, direct(peer), reason)
        assert await refusal(send(chat, user, conversation(cv))) == reason
    await unblock(social, pair[blocker], pair[1 - blocker])
    await settled(chat, pair[0], direct(pair[1]), "NOT_FRIENDS")
    await add(social, pair[blocker], pair[1 - blocker])
    assert (await send(chat, pair[0], direct(pair[1]))).conversation_id == cv


async def test_a_setting_lets_strangers_write_but_not_across_a_block(
    servers: Servers, social: Social, tmp_path: Path
) -> None:
    async with running_pair(servers, social, tmp_path, "open", HITOK_CHAT_STRANGERS="true") as chat:
        a, b = new_users(2)
        assert (await send(chat, a, direct(b))).seq == 1
        await block(social, b, a)
        await settled(chat, a, direct(b), "NOT_FRIENDS")
        await settled(chat, b, direct(a), "BLOCKED")


async def test_only_members_write_to_a_group(chat: Running, social: Social) -> None:
    owner, member, left, removed, stranger = users = new_users(5)
    group_id = await group_with(social, *users[:4], approval=False)
    cv = await group_conversation(chat, group_id, *users[:4])
    for user in users[:4]:
        await send(chat, user, group(group_id))
    await leave(social, left, group_id)
    await remove(social, owner, group_id, removed)
    await group_conversation(chat, group_id, owner, member)
    await send(chat, owner, group(group_id), "after")
    for user in (left, removed, stranger):
        assert await refusal(send(chat, user, group(group_id))) == "NOT_MEMBER"
        await nothing_is_there(chat, user, cv)
    await dismiss(social, owner, group_id)
    await group_conversation(chat, group_id)
    for user in users:
        assert await refusal(send(chat, user, group(group_id))) == "NOT_MEMBER"
        await nothing_is_there(chat, user, cv)
    assert await refusal(send(chat, owner, group(2**40))) == "NOT_MEMBER"


async def nothing_is_there(chat: Running, user: int, cv: int) -> None:
    """Checks that for this user all RPCs answer as for a conversation that never existed."""
    for id in (cv, 12345):
        calls = [
            send(chat, user, conversation(id)),
            edit(chat, user, id, 1),
            recall(chat, user, id, 1),
            history(chat, user, id),
            read(chat, user, id, 1),
            deliver(chat, user, id, 1),
            search(chat, user, "hi", id),
            act(user, chat.conversations.GetReceipts, GetReceiptsRequest(conversation_id=id)),
        ]
        assert await outcomes(*calls) == {"CONVERSATION_NOT_FOUND": len(calls)}
    assert await sync(chat, user, {cv: 0, 12345: 0}) == {}
    assert cv not in {c.conversation_id for c in await listed(chat, user)}
    assert await search(chat, user, "hi") == []


async def test_a_foreign_conversation_does_not_exist(chat: Running, social: Social) -> None:
    a, b = await friends(social)
    cv = (await send(chat, a, direct(b), "hi")).conversation_id
    await nothing_is_there(chat, new_user(), cv)
    assert await refusal(act(a, chat.conversations.Send, pb.SendRequest(client_msg_id=new_key()))) != ""
    assert await refusal(history(chat, 0, cv)) == "CALLER_MISSING"


async def test_one_who_joined_writes_at_once(chat: Running, social: Social) -> None:
    """Whether or not the event has arrived."""
    (owner,) = new_users(1)
    group_id = await group_with(social, owner, approval=False)
    for _ in range(10):
        user = new_user()
        await join(social, user, group_id)
        await send(chat, user, group(group_id))


async def test_one_who_was_removed_and_came_back_writes_at_once_and_sees_what_came_after(
    chat: Running, social: Social
) -> None:
    owner, user = new_users(2)
    group_id = await group_with(social, owner, user, approval=False)
    cv = await group_conversation(chat, group_id, owner, user)
    await send(chat, owner, group(group_id), "before")
    for n in range(5):
        await remove(social, owner, group_id, user)
        if n % 2:
            await group_conversation(chat, group_id, owner)
        await send(chat, owner, group(group_id), "between")
        await join(social, user, group_id)
        last = (await send(chat, user, group(group_id), "after")).seq
    await group_conversation(chat, group_id, owner, user)
    seen = [m.seq for m in await whole_history(chat, user, cv)]
    assert seen and seen[-1] == last and 1 not in seen
    assert len(await whole_history(chat, owner, cv)) == last


async def test_an_event_that_arrives_while_a_sender_is_admitted_does_not_refuse_them(
    chat: Running, social: Social, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be the one of a removal before they came back."""
    owner, user = new_users(2)
    group_id = await group_with(social, owner, user, approval=False)
    cv = await group_conversation(chat, group_id, owner, user)
    theirs = "conversation_member SET {} WHERE conversation_id = :cv AND user_id = :user RETURNING event_id"
    await execute(chat, f"UPDATE {theirs.format('left_seq = 0, left_at = now()')}", cv=cv, user=user)
    fewer = "conversation SET member_count = member_count - 1 WHERE id = :cv RETURNING id"
    await execute(chat, f"UPDATE {fewer}", cv=cv)
    admit, seen = ConversationDirectory.admit, list[int | None]()

    async def late(self: ConversationDirectory, ref: ConversationRef, user_id: int, event_id: int | None) -> None:
        if not seen:
            await execute(chat, f"UPDATE {theirs.format('event_id = event_id + 1')}", cv=cv, user=user)
        seen.append(event_id)
        await admit(self, ref, user_id, event_id)

    monkeypatch.setattr(ConversationDirectory, "admit", late)
    assert (await send(chat, user, group(group_id))).seq == 1
    assert len(seen) == 2


async def test_one_who_joins_late_sees_what_comes_after(chat: Running, social: Social) -> None:
    owner, late = new_users(2)
    group_id = await group_with(social, owner, approval=False)
    cv = await group_conversation(chat, group_id, owner)
    for n in range(3):
        await send(chat, owner, group(group_id), f"secret {n}")
    await join(social, late, group_id)
    await group_conversation(chat, group_id, owner, late)
    (summary,) = await listed(chat, late)
    assert (summary.unread, summary.read_seq, summary.HasField("last_message")) == (0, 3, False)
    assert summary.kind == pb.GROUP and summary.group_id == group_id and summary.title == "群"
    assert await whole_history(chat, late, cv) == [] and await search(chat, late, "secret") == []
    ack = await send(chat, owner, group(group_id), "secret no more")
    assert [m.seq for m in await whole_history(chat, late, cv)] == [4]
    assert [m.seq for m in (await sync(chat, late, {cv: 0}))[cv].messages] == [4]
    assert await refusal(recall(chat, late, cv, 2)) == "MESSAGE_NOT_FOUND"
    assert [(c.last_message.seq, c.joined_seq) for c in await listed(chat, late)] == [(ack.seq, 3)]


async def test_what_was_said_before_one_joined_stays_unseen_when_it_is_changed(chat: Running, social: Social) -> None:
    owner, gone, late = new_users(3)
    group_id = await group_with(social, owner, gone, approval=False)
    cv = await group_conversation(chat, group_id, owner, gone)
    old = [await send(chat, owner, group(group_id), f"secret {n}") for n in range(2)]
    await remove(social, owner, group_id, gone)
    await group_conversation(chat, group_id, owner)
    await join(social, late, group_id)
    await group_conversation(chat, group_id, owner, late)
    async with watching(chat) as frames:
        rev = await edit(chat, owner, cv, old[0].seq, "secret edited")
        last = await recall(chat, owner, cv, old[1].seq)
        for kind, seq, changed in [("message.updated", 1, rev), ("message.recalled", 2, last)]:
            await frames.expect(f"push.conv.{cv}", kind, rev=changed)
            assert (f"push.conv.{cv}", {"rev": str(changed), "seq": str(seq)}) in [entry[:2] for entry in frames.seen]
    caught_up = (await sync(chat, late, {cv: 0}))[cv]
    assert (list(caught_up.messages), caught_up.to_rev) == ([], last)
    assert {member.user_id for member in caught_up.members} == {owner, late}, "not the member who left before"
    assert await whole_history(chat, late, cv) == [] and await search(chat, late, "edited") == []
    assert await refusal(edit(chat, late, cv, 1)) == "MESSAGE_NOT_FOUND"


async def test_a_user_who_rejoined_with_an_old_cursor_drops_the_cache(chat: Running, social: Social) -> None:
    owner, user = new_users(2)
    group_id = await group_with(social, owner, user, approval=False)
    cv = await group_conversation(chat, group_id, owner, user)
    rev = (await send(chat, owner, group(group_id), "before")).rev
    await remove(social, owner, group_id, user)
    await group_conversation(chat, group_id, owner)
    await edit(chat, owner, cv, 1, "while the user was away")
    await join(social, user, group_id)
    await group_conversation(chat, group_id, owner, user)
    answer = (await sync(chat, user, {cv: rev}))[cv]
    assert answer.limited and not answer.messages
    assert not (await sync(chat, user, {cv: answer.to_rev}))[cv].limited


Change = Callable[[Running, int, int, int], Awaitable[int]]
RULES = [  # who, of whose message, how it ends when edited, and recalled
    ("member", "member", "", ""),
    ("member", "owner", "EDIT_FORBIDDEN", "EDIT_FORBIDDEN"),
    ("manager", "member", "EDIT_FORBIDDEN", ""),
    ("manager", "owner", "EDIT_FORBIDDEN", ""),
    ("owner", "manager", "EDIT_FORBIDDEN", ""),
    ("owner", "owner", "", ""),
]


@pytest.mark.parametrize(("who", "whose", "edited", "recalled"), RULES)
async def test_who_may_change_what(
    chat: Running, social: Social, who: str, whose: str, edited: str, recalled: str
) -> None:
    owner, manager, member = new_users(3)
    users = {"owner": owner, "manager": manager, "member": member}
    group_id = await group_with(social, owner, manager, member, managers=[manager])
    cv = await group_conversation(chat, group_id, owner, manager, member)
    ack = await send(chat, users[whose], group(group_id))
    assert await refusal(edit(chat, users[who], cv, ack.seq)) == edited
    assert await refusal(recall(chat, users[who], cv, ack.seq)) == recalled
    old = await send(chat, users[whose], group(group_id))
    await execute(
        chat, "UPDATE message SET created_at = now() - interval '16 minutes' WHERE id = :id", id=old.message_id
    )
    runs_group = who != "member"
    assert await refusal(edit(chat, users[who], cv, old.seq)) == "EDIT_FORBIDDEN"
    assert await refusal(recall(chat, users[who], cv, old.seq)) == ("" if runs_group else "EDIT_FORBIDDEN")


async def test_a_new_manager_may_recall_at_once_and_a_former_one_soon_not(chat: Running, social: Social) -> None:
    owner, member = new_users(2)
    group_id = await group_with(social, owner, member)
    cv = await group_conversation(chat, group_id, owner, member)
    acks = [await send(chat, owner, group(group_id)) for _ in range(40)]
    await send(chat, member, group(group_id))
    await set_role(social, owner, group_id, member, 1)
    seqs = iter(ack.seq for ack in acks)

    async def recalled() -> bool:
        return await refusal(recall(chat, member, cv, next(seqs))) == ""

    async def forbidden() -> bool:
        return await refusal(recall(chat, member, cv, next(seqs))) == "EDIT_FORBIDDEN"

    await until(recalled)
    await set_role(social, owner, group_id, member, 0)
    await until(forbidden)


async def test_a_removed_member_is_routed_away(chat: Running, social: Social) -> None:
    owner, user = new_users(2)
    async with watching(chat) as frames:
        group_id = await group_with(social, owner, user, approval=False)
        cv = await group_conversation(chat, group_id, owner, user)
        await frames.expect(f"push.user.{user}", "conversation", conversation_id=str(cv), kind="group")
        await frames.expect(f"push.conv.{cv}", "member", user_id=str(user), left=False)
        await remove(social, owner, group_id, user)
        await frames.expect(f"push.user.{user}", "conversation", conversation_id=str(cv), left=True)
        left = await frames.expect(f"push.conv.{cv}", "member", user_id=str(user), left=True)
        headers = [headers for name, headers, _ in frames.seen if name == f"push.user.{user}"]
        assert headers == [{"joined": str(cv)}, {"left": str(cv)}]
        assert (f"push.conv.{cv}", {"rev": str(left["rev"])}) in [(name, headers) for name, headers, _ in frames.seen]
        assert (await send(chat, owner, group(group_id))).rev == left["rev"] + 1


async def test_when_social_cannot_say_the_answer_is_no(servers: Servers, social: Social, tmp_path: Path) -> None:
    settings = {"HITOK_SOCIAL_TARGET": "127.0.0.1:1"}
    a, b = await friends(social)
    group_id = await group_with(social, a, b)
    async with running_pair(servers, social, tmp_path, "alone", **settings) as chat:
        calls = [send(chat, a, direct(b)), send(chat, a, group(group_id))]
        assert await asyncio.gather(*map(refusal, calls)) == ["SOCIAL_UNAVAILABLE"] * 2
