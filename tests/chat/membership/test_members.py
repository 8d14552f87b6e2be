"""Members of a group's conversation follow the social service's events, in any order and more than once."""

import itertools
import secrets
from collections.abc import Sequence

import msgspec
import pytest

from protos.social.v1 import groups_pb2
from services.kit.nats import Event
from tests.support.chat import (
    Running,
    execute,
    friends,
    group,
    group_conversation,
    listed,
    members_of,
    send,
    until,
    watching,
)
from tests.support.social import Running as Social
from tests.support.social import act, create_group, dismiss, group_with, join, new_user, new_users, remove

group_ids = itertools.count(10**9)  # none that the social service knows


async def announce(chat: Running, subject: str, id: int, key: str = "", **data: object) -> None:
    """Publishes the event as the service does, and returns when it has been handled."""
    key = key or f"test:{secrets.token_hex(8)}"
    event = Event(id, f"events.{subject}", "test", "2026-01-01T00:00:00+00:00", data)
    jetstream = chat.service.nats.jetstream(timeout=5)
    await jetstream.publish(event.subject, msgspec.json.encode(event), headers={"Nats-Msg-Id": key})

    async def handled() -> bool:
        return bool(await execute(chat, "SELECT FROM inbox WHERE event = :key AND consumer = 'chat'", key=key))

    await until(handled)


Step = tuple[int, str, int]


async def tell(chat: Running, group_id: int, steps: Sequence[Step]) -> None:
    for id, verb, user in steps:
        data = {"group_id": str(group_id), "group_name": f"named at {id}", "actor_id": str(user)}
        more = {"user_id": str(user), "inviter_id": "0", "member_ids": []}
        await announce(chat, f"social.group.{verb}", id, "", **data, **more)


A, B = 501, 502
STORY: list[Step] = [(1, "created", A), (2, "joined", B), (3, "removed", B), (4, "joined", B), (5, "left", B)]


@pytest.mark.parametrize("seed", range(12))
async def test_any_order_ends_the_same(chat: Running, seed: int) -> None:
    order = list(itertools.permutations(STORY))[seed * 10]
    group_id = next(group_ids)
    await tell(chat, group_id, [*order, *order[:2]])
    assert await members_of(chat, group_id) == {A}
    (row,) = await execute(chat, "SELECT * FROM conversation WHERE group_id = :id", id=group_id)
    assert (row.title, row.complete, row.member_count, row.event_id) == ("named at 5", True, 1, 5)


async def test_the_same_event_again_does_nothing(chat: Running) -> None:
    group_id = next(group_ids)
    await tell(chat, group_id, STORY[:2])
    (before,) = await execute(chat, "SELECT * FROM conversation WHERE group_id = :id", id=group_id)
    await tell(chat, group_id, STORY[:2])
    assert await execute(chat, "SELECT * FROM conversation WHERE group_id = :id", id=group_id) == [before]


async def test_a_dismissed_group_stays_empty(chat: Running) -> None:
    group_id = next(group_ids)
    await tell(chat, group_id, [(1, "created", A), (9, "dismissed", A), (4, "joined", B), (10, "joined", B)])
    assert await members_of(chat, group_id) == set()


async def test_a_name_is_told(chat: Running, social: Social) -> None:
    (owner,) = new_users(1)
    group_id = await create_group(social, owner, name="旧")
    cv = await group_conversation(chat, group_id, owner)
    async with watching(chat) as frames:
        update = groups_pb2.UpdateGroupRequest(group_id=group_id, name="新")
        await act(owner, social.groups.UpdateGroup, update)
        told = await frames.expect(f"push.conv.{cv}", "conversation", title="新", dismissed=False)
        assert (await listed(chat, owner))[0].rev == told["rev"]
        await dismiss(social, owner, group_id)
        await frames.expect(f"push.conv.{cv}", "conversation", dismissed=True)
        await frames.expect(f"push.user.{owner}", "conversation", left=True)


async def test_a_group_that_no_event_told_of_is_asked_for_at_the_first_message(chat: Running, social: Social) -> None:
    """As when the stream has dropped events from before this service existed."""
    owner, member, removed = new_users(3)
    group_id = await group_with(social, owner, member, removed, approval=False)
    await group_conversation(chat, group_id, owner, member, removed)
    await remove(social, owner, group_id, removed)
    await group_conversation(chat, group_id, owner, member)
    # Only the removal is known, as a late event would leave it.
    await execute(chat, "DELETE FROM conversation_member WHERE user_id IN (:a, :b)", a=owner, b=member)
    await execute(chat, "UPDATE conversation SET complete = false, member_count = 0 WHERE group_id = :id", id=group_id)
    chat.service.directory._cached.clear()
    async with watching(chat) as frames:
        ack = await send(chat, member, group(group_id))
        await frames.expect(f"push.user.{owner}", "conversation", conversation_id=str(ack.conversation_id))
    assert await members_of(chat, group_id) == {owner, member}
    assert (await listed(chat, owner))[0].unread == 1


async def test_a_deleted_account_leaves_and_its_conversations_stay(chat: Running, social: Social) -> None:
    a, b = await friends(social)
    group_id = await group_with(social, a, b)
    cv = await group_conversation(chat, group_id, a, b)
    await send(chat, b, group(group_id), "mine")
    async with watching(chat) as frames:
        await announce(chat, "user.account.deleted", 3, user_id=str(b))
        await group_conversation(chat, group_id, a)
        await frames.expect(f"push.user.{b}", "conversation", conversation_id=str(cv), left=True)
    assert await listed(chat, b) == []
    assert [conversation.last_message.sender_id for conversation in await listed(chat, a)] == [b]
    await announce(chat, "social.group.joined", 2**50, group_id=str(group_id), group_name="x", actor_id=str(b),
                   user_id=str(b), inviter_id="0")  # fmt: skip
    assert await members_of(chat, group_id) == {a}, "the user is gone for good"


async def test_joined_by_event_alone(chat: Running, social: Social) -> None:
    owner, user = new_user(), new_user()
    group_id = await create_group(social, owner, approval=False)
    await join(social, user, group_id)
    await group_conversation(chat, group_id, owner, user)
