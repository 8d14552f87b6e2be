"""Reactions: counted, one of each emoji for each member, told by rev."""

import asyncio
from collections import Counter

import pytest

from protos.chat.v1 import reactions_pb2 as pb
from services.chat import account_erasure
from tests.chat.test_account_erasure import delete_account
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
    history,
    mute,
    notifications,
    react,
    react_all,
    recall,
    send,
    sync,
    until,
    watching,
)
from tests.support.social import Running as Social
from tests.support.social import act, add, block, group_with, join, leave, new_users, refusal

EMOJI = [chr(0x1F600 + n) for n in range(30)]


def counts(outcome: pb.MessageReactions | str) -> dict[str, int]:
    assert isinstance(outcome, pb.MessageReactions), outcome
    return {each.emoji: each.count for each in outcome.reactions}


def mine(outcome: pb.MessageReactions | str) -> set[str]:
    assert isinstance(outcome, pb.MessageReactions), outcome
    return {each.emoji for each in outcome.reactions if each.mine}


async def test_it_is_counted_and_told_by_the_next_rev(chat: Running, social: Social) -> None:
    a, b = await friends(social)
    ack = await send(chat, a, direct(b))
    id, seq = ack.conversation_id, ack.seq
    async with watching(chat, f"push.conv.{id}") as frames:
        first = await react(chat, b, id, seq, "\u2764")
        assert counts(first) == {"\u2764\ufe0f": 1}
        assert not isinstance(first, str)
        assert first.rev == ack.rev + 1
        again = await react(chat, b, id, seq, "\u2764\ufe0f")
        assert again == first  # nothing to change, no rev
        second = await react(chat, a, id, seq, "👍")
        assert (counts(second), mine(second)) == ({"\u2764\ufe0f": 1, "👍": 1}, {"👍"})
        gone = await react(chat, b, id, seq, "\u2764", False)
        assert counts(gone) == {"👍": 1}
        assert await react(chat, b, id, seq, "\u2764", False) == gone
        last = await frames.expect(f"push.conv.{id}", "reactions", rev=ack.rev + 3)
    assert last["reactions"] == [{"emoji": "👍", "count": 1}]
    assert last["changes"] == [{"user_id": str(b), "emoji": "\u2764\ufe0f", "added": False}]
    assert [frame["rev"] for frame in frames.of(f"push.conv.{id}", "reactions")] == [ack.rev + n for n in (1, 2, 3)]


async def test_a_client_that_was_away_gets_them_by_sync_and_history(chat: Running, social: Social) -> None:
    a, b = await friends(social)
    acks = [await send(chat, a, direct(b), str(n)) for n in range(3)]
    id = acks[0].conversation_id
    await react_all(chat, (a, id, 1, "👍", True), (b, id, 1, "👍", True), (b, id, 2, "😀", True))
    synced = (await sync(chat, a, {id: acks[2].rev}))[id]
    assert (len(synced.messages), synced.to_rev, synced.limited) == (0, acks[2].rev + 2, False)
    assert [(each.seq, counts(each), mine(each)) for each in synced.reactions] == [
        (1, {"👍": 2}, {"👍"}),
        (2, {"😀": 1}, set()),
    ]
    newest_first = {each.seq: counts(each.reactions) for each in await history(chat, b, id)}
    assert newest_first == {3: {}, 2: {"😀": 1}, 1: {"👍": 2}}
    await react(chat, b, id, 2, "😀", False)
    synced = (await sync(chat, a, {id: synced.to_rev}))[id]
    assert [(each.seq, counts(each)) for each in synced.reactions] == [(2, {})]  # that they are gone, too


async def test_fifty_at_once_and_their_retries_count_once(chat: Running, social: Social) -> None:
    users = await friends(social, 10)
    group_id = await group_with(social, users[0], *users[1:])
    id = await group_conversation(chat, group_id, *users)
    await send(chat, users[0], group(group_id))
    changes = [(users[n % 10], id, 1, EMOJI[n % 5], True) for n in range(50)]
    async with watching(chat, f"push.conv.{id}") as frames:
        outcomes = await asyncio.gather(*(react(chat, *change) for change in changes))
        assert not [outcome for outcome in outcomes if isinstance(outcome, str)]
        final = (await sync(chat, users[0], {id: 0}))[id]
        expected = dict(Counter(emoji for _, emoji in {(change[0], change[3]) for change in changes}))
        assert counts(final.reactions[0]) == expected
        await frames.expect(f"push.conv.{id}", "reactions", rev=final.to_rev)
    rev = final.to_rev
    await asyncio.gather(*(react(chat, *change) for change in changes))
    assert (await sync(chat, users[0], {id: 0}))[id].to_rev == rev
    # Each adds and takes back: what is left is what the last of each said.
    flips = [react(chat, user, id, 1, "💯", n % 2 == 0) for n in range(5) for user in users]
    await asyncio.gather(*flips)
    rows = await execute(chat, "SELECT user_id FROM reaction WHERE conversation_id = :id AND emoji = '💯'", id=id)
    left = counts((await sync(chat, users[0], {id: 0}))[id].reactions[0])
    assert left.get("💯", 0) == len(rows)


async def test_a_message_has_at_most_twenty_different_ones(chat: Running, social: Social) -> None:
    a, b = await friends(social)
    id = (await send(chat, a, direct(b))).conversation_id
    outcomes = await asyncio.gather(*(react(chat, (a, b)[n % 2], id, 1, EMOJI[n]) for n in range(30)))
    assert Counter(each for each in outcomes if isinstance(each, str)) == {"REACTION_LIMIT_REACHED": 10}
    taken = (await history(chat, a, id))[0].reactions.reactions
    assert len(taken) == 20
    assert len(counts(await react(chat, b, id, 1, taken[0].emoji))) == 20  # one more of those is fine
    assert await react(chat, b, id, 1, "no") == "EMOJI_INVALID"


async def test_who_may_not_write_may_not_react(chat: Running, social: Social) -> None:
    a, b = await friends(social)
    (stranger,) = new_users(1)
    id = (await send(chat, a, direct(b))).conversation_id
    assert await react(chat, stranger, id, 1) == "CONVERSATION_NOT_FOUND"
    assert await react(chat, a, id, 2) == "MESSAGE_NOT_FOUND"
    assert await react(chat, a, id + 1, 1) == "CONVERSATION_NOT_FOUND"
    await block(social, a, b)
    found = await until(lambda: _refused(chat, b, id))
    assert (found, await react(chat, a, id, 1)) == ("NOT_FRIENDS", "BLOCKED")

    c, d, e = await friends(social, 3)
    group_id = await group_with(social, c, d, e)
    id = await group_conversation(chat, group_id, c, d, e)
    await send(chat, c, group(group_id))
    await react(chat, e, id, 1)
    await leave(social, e, group_id)
    await group_conversation(chat, group_id, c, d)
    assert await react(chat, e, id, 1, "😀") == "CONVERSATION_NOT_FOUND"
    assert counts((await history(chat, c, id))[0].reactions) == {"👍": 1}  # what they said stays, as messages do


async def _refused(chat: Running, user: int, id: int) -> str | None:
    outcome = await react(chat, user, id, 1)
    return outcome if isinstance(outcome, str) else None


async def test_not_before_a_request_is_answered(chat: Running, social: Social) -> None:
    a, b = new_users(2)
    await add(social, a, b)
    id = (await send(chat, a, direct(b))).conversation_id
    assert await react(chat, a, id, 1) == "ANSWER_AWAITED"
    assert await react(chat, b, id, 1) == "REQUEST_UNANSWERED"
    await answer(chat, b, id, accept=True)
    assert counts(await react(chat, b, id, 1)) == {"👍": 1}


async def test_those_to_what_a_member_may_not_see_are_not_told(chat: Running, social: Social) -> None:
    a, b, late = await friends(social, 3)
    group_id = await group_with(social, a, b, approval=False)
    id = await group_conversation(chat, group_id, a, b)
    await send(chat, a, group(group_id))
    await join(social, late, group_id)
    await group_conversation(chat, group_id, a, b, late)
    await react(chat, b, id, 1)
    assert await react(chat, late, id, 1) == "MESSAGE_NOT_FOUND"
    assert not (await sync(chat, late, {id: 1}))[id].reactions
    request = pb.ListReactorsRequest(conversation_id=id, seq=1, limit=10)
    assert await refusal(act(late, chat.reactions.ListReactors, request)) == "MESSAGE_NOT_FOUND"
    await delete(chat, a, id)  # for oneself
    assert not (await sync(chat, a, {id: 1}))[id].reactions


async def test_who_reacted_is_listed_by_pages(chat: Running, social: Social) -> None:
    users = await friends(social, 4)
    group_id = await group_with(social, users[0], *users[1:])
    id = await group_conversation(chat, group_id, *users)
    await send(chat, users[0], group(group_id))
    await react_all(chat, *((user, id, 1, emoji, True) for user in users for emoji in ("👍", "😀")))
    seen, request = [], pb.ListReactorsRequest(conversation_id=id, seq=1, limit=3)
    while True:
        page = await act(users[1], chat.reactions.ListReactors, request)
        seen += [(each.user_id, each.emoji) for each in page.reactors]
        request.cursor = page.next_cursor
        if not page.next_cursor:
            break
    assert seen == [(user, emoji) for user in sorted(users) for emoji in sorted(("👍", "😀"))]
    only = pb.ListReactorsRequest(conversation_id=id, seq=1, emoji="👍", limit=100)
    assert [each.user_id for each in (await act(users[1], chat.reactions.ListReactors, only)).reactors] == sorted(users)


async def test_they_go_with_the_message(chat: Running, social: Social) -> None:
    a, b = await friends(social)
    id = (await send(chat, a, direct(b))).conversation_id
    await react(chat, b, id, 1)
    await edit(chat, a, id, 1)
    assert counts((await history(chat, a, id))[0].reactions) == {"👍": 1}
    await recall(chat, a, id, 1)
    assert not (await history(chat, a, id))[0].reactions.reactions
    assert not await execute(chat, "SELECT FROM reaction WHERE conversation_id = :id", id=id)
    assert await react(chat, b, id, 1) == "MESSAGE_NOT_FOUND"


async def is_taken_back(chat: Running, user: int) -> bool:
    return not await execute(chat, "SELECT user_id FROM reaction WHERE user_id = :id", id=user)


async def test_they_go_with_the_account(chat: Running, social: Social, monkeypatch: pytest.MonkeyPatch) -> None:
    a, leaver, c = await friends(social, 3)
    group_id = await group_with(social, a, leaver, c)
    id = await group_conversation(chat, group_id, a, leaver, c)
    for n in range(5):
        await send(chat, a, group(group_id), str(n))
    await react_all(chat, *((leaver, id, seq, emoji, True) for seq in range(1, 6) for emoji in ("👍", "😀")))
    await react_all(chat, *((c, id, seq, "👍", True) for seq in range(1, 6)))
    before = (await sync(chat, a, {id: 0}))[id].to_rev
    monkeypatch.setattr(account_erasure, "BATCH", 3)  # a batch ends in the middle of a message
    await delete_account(chat, leaver)
    await until(lambda: is_taken_back(chat, leaver))
    synced = (await sync(chat, a, {id: before}))[id]
    assert {each.seq: counts(each) for each in synced.reactions} == {seq: {"👍": 1} for seq in range(1, 6)}
    assert len({each.rev for each in synced.reactions}) == 5


async def test_the_sender_is_notified_once_unless_they_muted_the_conversation(chat: Running, social: Social) -> None:
    a, b, c = await friends(social, 3)
    group_id = await group_with(social, a, b, c)
    id = await group_conversation(chat, group_id, a, b, c)
    await send(chat, a, group(group_id))
    await react(chat, b, id, 1, "🎉")
    await react(chat, c, id, 1, "👍")
    await react(chat, a, id, 1, "👍")  # one's own
    (told,) = [each for each in await notifications(chat, a) if each.kind == "reaction"]
    assert (list(told.actor_ids), told.actor_count) == ([c, b], 2)
    assert b'"emoji":"\xf0\x9f\x8e\x89"' in told.subject.replace(b" ", b"")
    await mute(chat, a, id)
    await send(chat, a, conversation(id))
    await react(chat, b, id, 2)
    assert len([each for each in await notifications(chat, a) if each.kind == "reaction"]) == 1
