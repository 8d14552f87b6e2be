"""Conversations that a member hides, mutes, pins or deletes for themselves; and those whose peer is gone."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from protos.chat.v1 import conversations_pb2 as pb
from protos.chat.v1 import marks_pb2
from services.chat.account_erasure import AccountEraser
from services.chat.membership import marks
from services.client_json.chat import TOMBSTONE
from tests.support.chat import (
    Running,
    answer,
    conversation,
    delete,
    direct,
    edit,
    execute,
    friends,
    group,
    group_conversation,
    hide,
    history,
    listed,
    marks_since,
    mute,
    pin,
    read,
    search,
    send,
    sync,
    watching,
)
from tests.support.social import Running as Social
from tests.support.social import act, add, group_with, new_user, new_users, outcomes, refusal

HOUR = 3_600_000  # milliseconds

Act = Callable[[Running, int, int], Awaitable[marks_pb2.Mark]]
ACTS: dict[str, Act] = {"hide": hide, "mute": mute, "pin": pin, "delete": delete}


def now() -> int:
    return round(time.time() * 1000)


async def pair(chat: Running, social: Social, messages: int = 3) -> tuple[int, int, int]:
    """Two friends and their conversation, in which each has written."""
    a, b = await friends(social)
    acks = [await send(chat, (a, b)[n % 2], direct((b, a)[n % 2]), f"apple {n}") for n in range(messages)]
    return a, b, acks[0].conversation_id


async def entry(chat: Running, user: int, conversation_id: int) -> pb.Conversation | None:
    return next((each for each in await listed(chat, user) if each.conversation_id == conversation_id), None)


async def shown(chat: Running, user: int) -> list[int]:
    request = pb.ListConversationsRequest(limit=100, shown_only=True)
    page = await act(user, chat.conversations.ListConversations, request)
    return [each.conversation_id for each in page.conversations]


async def test_a_hidden_conversation_comes_back_with_its_next_message(chat: Running, social: Social) -> None:
    a, b, id = await pair(chat, social)
    for _ in range(2):
        mark = await hide(chat, a, id)
        assert (mark.hidden, mark.marks_rev) == (True, 1)
    found = await entry(chat, a, id)
    assert found and found.hidden
    assert (await shown(chat, a), await shown(chat, b)) == ([], [id])
    assert len(await history(chat, a, id)) == 3
    await hide(chat, a, id, hidden=False)
    assert await shown(chat, a) == [id]
    await hide(chat, a, id)
    await send(chat, b, direct(a))
    assert await shown(chat, a) == [id]
    assert (await hide(chat, a, id, hidden=False)).marks_rev == 3  # nothing to change


async def test_a_group_without_messages_can_be_hidden(chat: Running, social: Social) -> None:
    a, b = await friends(social)
    id = await group_conversation(chat, await group_with(social, a, b), a, b)
    await hide(chat, a, id)
    assert (await shown(chat, a), await shown(chat, b)) == ([], [id])


async def test_a_mute_ends_by_itself_or_when_told(chat: Running, social: Social) -> None:
    a, b, id = await pair(chat, social)
    end = now() + HOUR
    assert (await mute(chat, a, id, until=end)).muted_until == end
    found, theirs = await entry(chat, a, id), await entry(chat, b, id)
    assert found and (found.muted, found.muted_until) == (True, end) and theirs and not theirs.muted
    for_ever = await mute(chat, a, id)
    assert (for_ever.muted, for_ever.muted_until, for_ever.marks_rev) == (True, 0, 2)
    await execute(chat, "UPDATE conversation_member SET muted_until = now() WHERE user_id = :id", id=a)
    found = await entry(chat, a, id)
    assert found and not found.muted
    assert (await mute(chat, a, id, muted=False)).marks_rev == 2  # it had ended
    for wrong in (now() - 1, 10**17, -1):
        assert await refusal(mute(chat, a, id, until=wrong)) == "MUTE_INVALID"


async def test_pinned_conversations_come_first_on_all_pages(chat: Running, social: Social) -> None:
    me, *peers = new_users(6)
    for peer in peers:
        await add(social, me, peer)
    ids = [(await send(chat, me, direct(peer))).conversation_id for peer in peers]
    for id in ids[:2]:
        await pin(chat, me, id)
    expected = [ids[1], ids[0], ids[4], ids[3], ids[2]]
    for limit in (1, 2, 3, 100):
        assert [each.conversation_id for each in await listed(chat, me, limit)] == expected
    await pin(chat, me, ids[1], pinned=False)
    assert [each.pinned for each in await listed(chat, me)] == [True, False, False, False, False]


async def test_no_more_are_pinned_than_may_be_whoever_races(
    chat: Running, social: Social, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(marks, "MAX_PINNED", 3)
    me = new_user()
    ids = []
    for peer in new_users(10):
        await add(social, me, peer)
        ids.append((await send(chat, me, direct(peer))).conversation_id)
    results = await outcomes(*(pin(chat, me, id) for id in ids * 5))
    assert results == {"": 15, "PIN_LIMIT_REACHED": 35}
    assert (await marks_since(chat, me)).marks_rev == 3


async def test_what_is_deleted_is_gone_for_oneself_alone(chat: Running, social: Social) -> None:
    a, b, id = await pair(chat, social)
    mark = await delete(chat, a, id)
    assert (mark.hidden, mark.cleared_seq, await delete(chat, a, id)) == (True, 3, mark)
    assert (await shown(chat, a), await history(chat, a, id), await search(chat, a, "apple")) == ([], [], [])
    assert len(await history(chat, b, id)) == len(await search(chat, b, "apple")) == 3
    assert await refusal(edit(chat, a, id, 1)) == "MESSAGE_NOT_FOUND"
    await send(chat, b, direct(a), "pear")
    assert [m.seq for m in await history(chat, a, id)] == [4]
    found = await entry(chat, a, id)
    assert found and (found.hidden, found.unread, found.last_message.seq, found.read_seq) == (False, 1, 4, 3)
    assert (await read(chat, a, id, 4)).unread == 0
    assert len(await history(chat, b, id)) == 4


async def test_deleting_tells_nobody_that_one_has_read(chat: Running, social: Social) -> None:
    a, b, id = await pair(chat, social)
    async with watching(chat, f"push.conv.{id}") as frames:
        await delete(chat, a, id)
        await hide(chat, a, id, hidden=False)
        await mute(chat, a, id)
        await send(chat, b, conversation(id))
        await frames.expect(f"push.conv.{id}", "message", seq=4)
        assert len(frames.seen) == 1
    request = pb.GetReceiptsRequest(conversation_id=id, limit=10)
    rows = (await act(b, chat.conversations.GetReceipts, request)).members
    assert {row.read_seq for row in rows if row.user_id == a} == {0}
    found = await entry(chat, b, id)
    assert found and (found.rev, found.marks_rev) == (4, 0)


async def test_a_device_that_was_away_drops_what_was_deleted(chat: Running, social: Social) -> None:
    a, b, id = await pair(chat, social)
    await delete(chat, a, id)
    await send(chat, b, direct(a))
    assert (await sync(chat, a, {id: 2}))[id].limited
    found = (await sync(chat, a, {id: 3}))[id]  # it knew all there was: its mark tells what to drop
    assert (found.limited, [m.seq for m in found.messages]) == (False, [4])
    assert [(m.conversation_id, m.cleared_seq) for m in (await marks_since(chat, a)).marks] == [(id, 3)]


async def test_marks_reach_the_other_devices_by_their_rev(chat: Running, social: Social) -> None:
    a, b, id = await pair(chat, social)
    subject = f"push.user.{a}"
    async with watching(chat, "push.user.>") as frames:
        await pin(chat, a, id)
        await mute(chat, a, id)
        await delete(chat, a, id)
        pinned = await frames.expect(subject, "conversation", marks_rev=1)
        muted = await frames.expect(subject, "conversation", marks_rev=2)
        deleted = await frames.expect(subject, "conversation", marks_rev=3)
        assert not frames.of(f"push.user.{b}", "conversation")
    assert "rev" not in pinned and (pinned["pinned"], pinned["muted"]) == (True, False)
    assert (muted["pinned"], muted["muted"], muted["muted_until"]) == (True, True, None)
    assert (deleted["hidden"], deleted["cleared_seq"], deleted["kind"]) == (True, 3, "direct")
    joined = [headers.get("joined") for name, headers, _ in frames.seen if name == subject]
    assert joined == [None, None, str(id)]  # gateways show nothing from before it any more


async def test_marks_are_listed_from_a_rev_page_by_page(chat: Running, social: Social) -> None:
    me, *peers = new_users(6)
    for peer in peers:
        await add(social, me, peer)
    ids = [(await send(chat, me, direct(peer))).conversation_id for peer in peers]
    for id in ids:
        await pin(chat, me, id)
    await hide(chat, me, ids[0])
    assert [m.conversation_id for m in (await marks_since(chat, me)).marks] == [*ids[1:], ids[0]]
    page = await marks_since(chat, me, 3, limit=2)
    assert ([m.marks_rev for m in page.marks], page.to_rev, page.marks_rev) == ([4, 5], 5, 6)
    page = await marks_since(chat, me, page.to_rev)
    assert ([m.marks_rev for m in page.marks], page.to_rev) == ([6], 6)
    assert not (await marks_since(chat, me, 6)).marks and (await marks_since(chat, new_user())).marks_rev == 0
    request = pb.ListConversationsRequest(limit=10)
    assert (await act(me, chat.conversations.ListConversations, request)).marks_rev == 6


async def test_fifty_changes_at_once_leave_no_gap(chat: Running, social: Social) -> None:
    a, b, id = await pair(chat, social)
    async with watching(chat, f"push.user.{a}") as frames:
        jobs: list[Awaitable[Any]] = [ACTS[("hide", "pin", "mute", "delete")[n % 4]](chat, a, id) for n in range(50)]
        jobs += [send(chat, b, direct(a)) for _ in range(10)]
        await asyncio.gather(*jobs)
        rev = (await marks_since(chat, a)).marks_rev
        for each in range(1, rev + 1):  # in whatever order
            await frames.expect(f"push.user.{a}", "conversation", marks_rev=each)
    cleared = (await delete(chat, a, id)).cleared_seq
    assert (cleared, await history(chat, a, id)) == (13, [])


@pytest.mark.parametrize("what", ACTS)
async def test_only_a_member_marks(chat: Running, social: Social, what: str) -> None:
    a, b, id = await pair(chat, social)
    for caller, wrong in ((new_user(), id), (a, id + 1), (a, 0)):
        assert await refusal(ACTS[what](chat, caller, wrong)) == "CONVERSATION_NOT_FOUND"
    assert not (await marks_since(chat, b)).marks


async def test_a_group_is_deleted_for_oneself_too(chat: Running, social: Social) -> None:
    a, b = await friends(social)
    group_id = await group_with(social, a, b)
    id = await group_conversation(chat, group_id, a, b)
    await send(chat, a, group(group_id), "before")
    await delete(chat, b, id)
    await send(chat, a, group(group_id), "after")
    assert [m.seq for m in await history(chat, b, id)] == [2]
    assert [m.seq for m in await history(chat, a, id)] == [2, 1]


async def test_a_declined_request_that_is_taken_up_shows_all_of_it(chat: Running, social: Social) -> None:
    a, b = new_users(2)
    await add(social, a, b)
    id = (await send(chat, a, direct(b))).conversation_id
    async with watching(chat, f"push.user.{b}") as frames:
        await answer(chat, b, id, accept=False)
        await answer(chat, b, id, accept=True)
        again = await frames.expect(f"push.user.{b}", "conversation", kind="direct")
    assert "cleared_seq" not in again and len(await history(chat, b, id)) == 1


async def test_a_conversation_whose_peer_is_gone_shows_a_tombstone_and_can_be_deleted(
    chat: Running, social: Social
) -> None:
    a, b, id = await pair(chat, social)
    await pin(chat, b, id)
    async with watching(chat, f"push.user.{a}") as frames:
        database, publisher = chat.service.database, chat.service.publisher
        async with database.transaction() as connection:
            pushes = await AccountEraser(database, publisher).remove(connection, b)
            await publisher.store_for_relay(connection, pushes)
        told = await frames.expect(f"push.user.{a}", "conversation", peer_gone=True)
    assert told == {"conversation_id": str(id), "title": TOMBSTONE, "peer_gone": True}
    found = await entry(chat, a, id)
    assert found and found.peer_gone and len(await history(chat, a, id)) == 3
    await delete(chat, a, id)
    assert (await shown(chat, a), await history(chat, a, id)) == ([], [])
    assert await refusal(hide(chat, b, id)) == "CONVERSATION_NOT_FOUND"
    left = await execute(chat, "SELECT FROM marks_rev WHERE user_id = :id", id=b)
    left += await execute(chat, "SELECT FROM conversation_member WHERE user_id = :id AND marks_rev > 0", id=b)
    assert not left
