"""Erasing what a deleted account wrote: services/chat/account_erasure.py."""

import asyncio
import itertools
import json

import pytest

from services.chat import account_erasure
from services.chat.account_erasure import AccountEraser
from tests.chat.membership.test_members import announce
from tests.support.chat import (
    Running,
    direct,
    execute,
    faults,
    friends,
    group,
    group_conversation,
    listed,
    search,
    send,
    sync,
    until,
    watching,
    whole_history,
)
from tests.support.social import Running as Social
from tests.support.social import group_with, new_users, remove

_event_ids = itertools.count(2**41)


async def delete_account(chat: Running, user_id: int) -> None:
    await announce(chat, "user.account.deleted", next(_event_ids), user_id=str(user_id))


async def is_erased(chat: Running, user_id: int) -> bool:
    rows = "SELECT FROM message WHERE sender_id = :id AND (body IS NOT NULL OR words <> '' OR size > 0)"
    scheduled = "SELECT FROM leaver WHERE user_id = :id"
    return not any([await execute(chat, query, id=user_id) for query in (rows, scheduled)])


async def erased(chat: Running, user_id: int) -> None:
    await until(lambda: is_erased(chat, user_id))


async def test_their_messages_are_as_recalled_and_those_of_others_stay(chat: Running, social: Social) -> None:
    a, b = await friends(social)
    group_id = await group_with(social, a, b)
    cv = await group_conversation(chat, group_id, a, b)
    await send(chat, b, group(group_id), "mysecret", mentions=[a])
    kept = await send(chat, a, group(group_id), "kept")
    in_direct = await send(chat, b, direct(a), "mysecret too")
    async with watching(chat) as frames:
        await delete_account(chat, b)
        await erased(chat, b)
        await frames.expect(f"push.conv.{cv}", "message.recalled", seq=1)
    first, second = await whole_history(chat, a, cv)
    assert (first.body, first.recalled_at > 0, first.sender_id, list(first.mentions)) == (b"null", True, b, [])
    assert (second.seq, json.loads(second.body)) == (kept.seq, {"text": "kept"})
    (alone,) = await whole_history(chat, a, in_direct.conversation_id)
    assert alone.body == b"null"
    assert not await search(chat, a, "mysecret")
    assert not await faults(chat)


async def test_it_reaches_conversations_that_they_had_left_before(chat: Running, social: Social) -> None:
    a, b = await friends(social)
    group_id = await group_with(social, a, b)
    cv = await group_conversation(chat, group_id, a, b)
    await send(chat, b, group(group_id), "mine")
    await remove(social, a, group_id, b)
    await group_conversation(chat, group_id, a)
    await delete_account(chat, b)
    await erased(chat, b)
    assert [message.body for message in await whole_history(chat, a, cv)] == [b"null"]


async def test_a_member_who_was_away_hears_of_each_message(
    chat: Running, social: Social, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(account_erasure, "BATCH", 2)
    a, b = await friends(social)
    acks = [await send(chat, b, direct(a), f"{number}") for number in range(5)]
    cv, rev = acks[0].conversation_id, acks[-1].rev
    await delete_account(chat, b)
    await erased(chat, b)
    caught_up = (await sync(chat, a, {cv: rev}))[cv]
    assert sorted(message.seq for message in caught_up.messages) == [1, 2, 3, 4, 5]
    assert len({message.rev for message in caught_up.messages}) == 5
    assert not await faults(chat)


async def test_it_goes_on_after_a_restart_and_two_processes_share_it(
    chat: Running, social: Social, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rows say where it stopped: each batch here is that of a new process."""
    monkeypatch.setattr(account_erasure, "BATCH", 1)
    a, b = await friends(social)
    for number in range(4):
        await send(chat, b, direct(a), f"{number}")
    await execute(chat, "UPDATE conversation_member SET left_at = now() WHERE user_id = :id", id=b)
    await execute(chat, "UPDATE conversation SET member_count = 1 WHERE low_id IN (:a, :b)", a=a, b=b)
    await execute(chat, "INSERT INTO leaver (user_id) VALUES (:id)", id=b)
    while not await is_erased(chat, b):
        erasers = [AccountEraser(chat.service.database, chat.service.publisher) for _ in range(2)]
        await asyncio.gather(*(eraser.erase_batch() for eraser in erasers))
    assert not await faults(chat)


async def test_announced_twice_it_changes_nothing_more(chat: Running, social: Social) -> None:
    a, b = await friends(social)
    ack = await send(chat, b, direct(a), "mine")
    await delete_account(chat, b)
    await erased(chat, b)
    before = (await listed(chat, a))[0].rev
    await delete_account(chat, b)
    await erased(chat, b)
    assert (await listed(chat, a))[0].rev == before > ack.rev


async def test_a_message_sent_meanwhile_is_refused_or_erased(chat: Running, social: Social) -> None:
    a, b = await friends(social)
    await send(chat, b, direct(a), "first")
    sending = [send(chat, b, direct(a), f"{number}") for number in range(10)]
    await asyncio.gather(delete_account(chat, b), *sending, return_exceptions=True)
    await erased(chat, b)
    assert await is_erased(chat, b)


async def test_when_the_erased_are_seen_to_leave_is_not_stored(chat: Running, social: Social) -> None:
    """Which is a minute after their last request."""
    gone, stays = new_users(2)
    await delete_account(chat, gone)
    presence = chat.service.presence
    await until(lambda: has_forgotten(chat, gone))
    await presence._publish_changes({gone: False, stays: False})
    await presence.save_seen()
    stored = "SELECT user_id FROM user_last_seen WHERE user_id IN (:gone, :stays)"
    rows = await execute(chat, stored, gone=gone, stays=stays)
    assert [row.user_id for row in rows] == [stays]


async def has_forgotten(chat: Running, user_id: int) -> bool:
    return bool(chat.service.presence._erased.get(user_id))
