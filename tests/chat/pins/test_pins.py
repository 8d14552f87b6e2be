"""Messages pinned for all members of a conversation."""

import asyncio

from tests.chat.test_account_erasure import delete_account, erased
from tests.support.chat import (
    Running,
    answer,
    delete,
    direct,
    friends,
    group,
    group_conversation,
    pin_message,
    pinned,
    recall,
    send,
    sync,
    until,
    watching,
)
from tests.support.social import Running as Social
from tests.support.social import add, block, group_with, join, new_users, outcomes, refusal


async def test_both_pin_in_a_direct_conversation_and_all_hear_of_it(chat: Running, social: Social) -> None:
    a, b = await friends(social)
    acks = [await send(chat, a, direct(b), str(n)) for n in range(3)]
    id, rev = acks[0].conversation_id, acks[2].rev
    async with watching(chat, f"push.conv.{id}") as frames:
        assert await pin_message(chat, a, id, 1) == rev + 1
        assert await pin_message(chat, a, id, 1) == rev + 1  # nothing to change
        assert await pin_message(chat, b, id, 3) == rev + 2
        assert await pinned(chat, a, id) == await pinned(chat, b, id) == [3, 1]
        assert await pin_message(chat, b, id, 1, pinned=False) == rev + 3
        assert await pin_message(chat, b, id, 1, pinned=False) == rev + 3
        await frames.expect(f"push.conv.{id}", "pinned", rev=rev + 3)
    told = [
        (each["rev"], each["seq"], each["pinned"], each["user_id"]) for each in frames.of(f"push.conv.{id}", "pinned")
    ]
    assert told == [(rev + 1, 1, True, str(a)), (rev + 2, 3, True, str(b)), (rev + 3, 1, False, str(b))]


async def test_who_was_away_gets_them_by_sync(chat: Running, social: Social) -> None:
    a, b = await friends(social)
    acks = [await send(chat, a, direct(b), str(n)) for n in range(3)]
    id, rev = acks[0].conversation_id, acks[2].rev
    assert not (await sync(chat, b, {id: rev}))[id].HasField("pins")
    await pin_message(chat, a, id, 2)
    await pin_message(chat, a, id, 3)
    synced = (await sync(chat, b, {id: rev}))[id]
    assert ([pin.seq for pin in synced.pins.pins], synced.pins.rev, synced.to_rev) == ([3, 2], rev + 2, rev + 2)
    assert not (await sync(chat, b, {id: rev + 2}))[id].HasField("pins")
    await pin_message(chat, b, id, 2, pinned=False)
    await pin_message(chat, b, id, 3, pinned=False)
    synced = (await sync(chat, a, {id: rev + 2}))[id]
    assert synced.HasField("pins")
    assert not synced.pins.pins


async def test_a_recalled_message_is_unpinned(chat: Running, social: Social) -> None:
    a, b = await friends(social)
    id = (await send(chat, a, direct(b))).conversation_id
    rev = await pin_message(chat, b, id, 1)
    await recall(chat, a, id, 1)
    assert await pinned(chat, a, id) == []
    synced = (await sync(chat, a, {id: rev}))[id]
    assert synced.pins.rev == synced.messages[0].rev == synced.to_rev == rev + 1
    assert await refusal(pin_message(chat, a, id, 1)) == "MESSAGE_NOT_FOUND"


async def test_fifty_at_once_and_no_more(chat: Running, social: Social) -> None:
    a, b = await friends(social)
    for n in range(55):
        ack = await send(chat, a, direct(b), str(n))
    id = ack.conversation_id
    results = await outcomes(*(pin_message(chat, (a, b)[n % 2], id, n + 1) for n in range(55)))
    assert results == {"": 50, "PINNED_LIMIT_REACHED": 5}
    assert len(await pinned(chat, a, id)) == 50
    # The same pin fifty times, and its end: one change each.
    (one, *_), rev = await pinned(chat, a, id), (await sync(chat, a, {id: ack.rev}))[id].to_rev
    await asyncio.gather(*(pin_message(chat, (a, b)[n % 2], id, one, pinned=False) for n in range(50)))
    assert (await sync(chat, a, {id: rev}))[id].to_rev == rev + 1


async def test_in_a_group_its_owner_and_managers_pin(chat: Running, social: Social) -> None:
    owner, manager, member, late = await friends(social, 4)
    group_id = await group_with(social, owner, manager, member, approval=False, managers=[manager])
    id = await group_conversation(chat, group_id, owner, manager, member)
    await send(chat, member, group(group_id))
    assert await refusal(pin_message(chat, member, id, 1)) == "PIN_FORBIDDEN"
    await pin_message(chat, manager, id, 1)
    await pin_message(chat, owner, id, 1, pinned=False)
    rev = await pin_message(chat, owner, id, 1)
    await join(social, late, group_id)
    await group_conversation(chat, group_id, owner, manager, member, late)
    assert await pinned(chat, late, id) == []  # from before they joined
    assert not (await sync(chat, late, {id: rev - 1}))[id].pins.pins
    (stranger,) = new_users(1)
    assert await refusal(pin_message(chat, stranger, id, 1)) == "CONVERSATION_NOT_FOUND"
    assert await refusal(pinned(chat, stranger, id)) == "CONVERSATION_NOT_FOUND"
    await delete_account(chat, member)
    await erased(chat, member)
    assert await pinned(chat, owner, id) == []


async def test_who_may_not_write_may_not_pin(chat: Running, social: Social) -> None:
    a, b = new_users(2)
    await add(social, a, b)
    id = (await send(chat, a, direct(b))).conversation_id
    assert await refusal(pin_message(chat, a, id, 1)) == "ANSWER_AWAITED"
    await answer(chat, b, id, accept=True)
    await pin_message(chat, b, id, 1)
    await block(social, a, b)

    async def is_blocked() -> bool:  # once the event has ended the cached permission
        return await refusal(pin_message(chat, a, id, 1)) == "BLOCKED"

    await until(is_blocked)
    await delete(chat, a, id)
    assert await pinned(chat, a, id) == []
    assert await pinned(chat, b, id) == [1]
