"""A membership change holds in the chat from the answer to `Recheck` on, whatever happens at the same time."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from sqlalchemy import text

from protos.chat.v1 import conversations_pb2 as pb
from tests.support.chat import (
    Running,
    direct,
    execute,
    friends,
    group,
    group_conversation,
    history,
    listed,
    running_chat_service,
    send,
    until,
    watching,
)
from tests.support.social import Running as Social
from tests.support.social import act, block, dismiss, group_with, join, new_users, refusal, remove, unfriend

Undo = Callable[[Social, int, int], Awaitable[None]]


async def recheck(chat: Running, actor: int, **what: int) -> None:
    await act(actor, chat.conversations.Recheck, pb.RecheckRequest(**what))


async def test_who_joined_gets_what_is_sent_before_the_event_has_come(chat: Running, social: Social) -> None:
    owner, user = new_users(2)
    group_id = await group_with(social, owner, approval=False)
    cv = await group_conversation(chat, group_id, owner)
    async with chat.service.database.transaction() as held_up:
        await held_up.execute(text("LOCK TABLE inbox"))  # so that no event is taken
        await join(social, user, group_id)
        await recheck(chat, user, group_id=group_id, user_id=user)
        ack = await send(chat, owner, group(group_id))
        assert [message.seq for message in await history(chat, user, cv)] == [ack.seq]
    await group_conversation(chat, group_id, owner, user)


async def test_who_join_at_one_moment_are_admitted_one_after_the_other(chat: Running, social: Social) -> None:
    owner, *users = new_users(9)
    group_id = await group_with(social, owner, approval=False)
    cv = await group_conversation(chat, group_id, owner)
    await asyncio.gather(*(join(social, user, group_id) for user in users))
    await asyncio.gather(*(recheck(chat, user, group_id=group_id, user_id=user) for user in users))
    query = "SELECT count(*), count(DISTINCT rev), max(rev) FROM conversation_member WHERE conversation_id = :id"
    ((count, revs, last),) = await execute(chat, query, id=cv)
    query = "SELECT rev, member_count FROM conversation WHERE id = :id"
    assert list(await execute(chat, query, id=cv)) == [(last, 9)] and count == revs == 9


async def test_nothing_sent_after_a_removal_reaches_the_removed(chat: Running, social: Social) -> None:
    """While another process of the service keeps sending."""
    owner, user = new_users(2)
    group_id = await group_with(social, owner, user, approval=False)
    cv = await group_conversation(chat, group_id, owner, user)
    after: list[int] = []
    done = asyncio.Event()

    async def chatter(other: Running) -> None:
        while not done.is_set() or len(after) < 10:
            was_done = done.is_set()
            ack = await send(other, owner, group(group_id))
            if was_done:
                after.append(ack.rev)

    async with running_chat_service(chat.settings) as other, watching(chat) as frames:
        writers = [asyncio.create_task(chatter(other)) for _ in range(3)]
        await asyncio.sleep(0.05)
        await remove(social, owner, group_id, user)
        await recheck(chat, owner, group_id=group_id, user_id=user)
        done.set()
        assert await refusal(history(chat, user, cv)) == await refusal(history(other, user, cv))
        assert await refusal(history(chat, user, cv)) == "CONVERSATION_NOT_FOUND" and await listed(chat, user) == []
        assert await refusal(send(other, user, group(group_id))) == "NOT_MEMBER"
        await asyncio.gather(*writers)
        for rev in after:
            await frames.expect(f"push.conv.{cv}", "message", rev=rev)
        cut = next(place for place, (_, headers, _) in enumerate(frames.seen) if headers.get("left") == str(cv))
        late = [frame["data"]["rev"] for _, headers, frame in frames.seen[:cut] if "rev" in headers]
        assert not set(late) & set(after)


async def test_who_is_out_by_the_event_is_so_at_the_gateways_before_the_answer(
    chat: Running, social: Social, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even if the event's own push is still on its way."""

    async def nothing() -> int:
        return 0

    monkeypatch.setattr(chat.service.publisher, "_relay_batch", nothing)
    owner, user = new_users(2)
    group_id = await group_with(social, owner, user, approval=False)
    cv = await group_conversation(chat, group_id, owner, user)
    async with watching(chat) as frames:
        await remove(social, owner, group_id, user)
        await group_conversation(chat, group_id, owner)
        await recheck(chat, owner, group_id=group_id, user_id=user)
        await frames.expect(f"push.user.{user}", "conversation", conversation_id=str(cv), left=True)


async def test_who_was_let_in_again_stays_in(chat: Running, social: Social) -> None:
    owner, user = new_users(2)
    group_id = await group_with(social, owner, user, approval=False)
    cv = await group_conversation(chat, group_id, owner, user)
    await recheck(chat, owner, group_id=group_id, user_id=user)  # the user was never out
    assert await history(chat, user, cv) == []
    await remove(social, owner, group_id, user)
    await recheck(chat, owner, group_id=group_id, user_id=user)
    await join(social, user, group_id)
    await recheck(chat, owner, group_id=group_id, user_id=user)
    await group_conversation(chat, group_id, owner, user)
    assert (await send(chat, user, group(group_id))).seq == 1


async def test_the_last_frame_of_a_membership_is_the_last_that_was_committed(chat: Running, social: Social) -> None:
    """Whichever of two processes applies a change, and whichever relays it."""
    owner, *users = new_users(11)
    group_id = await group_with(social, owner, approval=False)
    cv = await group_conversation(chat, group_id, owner)

    async def come_and_go(user: int, *services: Running) -> None:
        for _ in range(6):
            for change in (join(social, user, group_id), remove(social, owner, group_id, user)):
                await change
                await asyncio.gather(*(recheck(each, user, group_id=group_id, user_id=user) for each in services))
        if user % 2:
            await join(social, user, group_id)

    async with running_chat_service(chat.settings) as other, watching(chat) as frames:
        await asyncio.gather(*(come_and_go(user, *((chat, other)[: user % 3])) for user in users))
        await group_conversation(chat, group_id, owner, *(user for user in users if user % 2))

        async def published() -> bool:
            return not await execute(chat, "SELECT FROM push WHERE header ~ '^(joined|left):'")

        await until(published)
        await chat.service.nats.flush()
        for user in users:
            last = [headers for subject, headers, _ in frames.seen if subject == f"push.user.{user}"][-1]
            assert last == ({"joined": str(cv)} if user % 2 else {"left": str(cv)})


async def test_a_dismissed_group_is_silent_at_once(chat: Running, social: Social) -> None:
    owner, user = new_users(2)
    group_id = await group_with(social, owner, user, approval=False)
    cv = await group_conversation(chat, group_id, owner, user)
    await send(chat, owner, group(group_id))
    await recheck(chat, user, group_id=group_id)  # only the social service can say that the group is gone
    assert len(await history(chat, user, cv)) == 1
    await dismiss(social, owner, group_id)
    await recheck(chat, owner, group_id=group_id)
    for member in (owner, user):
        assert await refusal(history(chat, member, cv)) == "CONVERSATION_NOT_FOUND"
        assert await refusal(send(chat, member, group(group_id))) == "NOT_MEMBER"


@pytest.mark.parametrize(("undo", "reason"), [(block, "BLOCKED"), (unfriend, "NOT_FRIENDS")])
async def test_who_is_parted_sends_nothing_more(chat: Running, social: Social, undo: Undo, reason: str) -> None:
    for _ in range(5):
        a, b = await friends(social)
        await send(chat, b, direct(a))
        await undo(social, a, b)
        await recheck(chat, a, user_id=b)
        if undo is block:
            query = "SELECT FROM block WHERE user_id = :a AND blocked_id = :b AND blocked"
            assert await execute(chat, query, a=a, b=b)
        assert await refusal(send(chat, b, direct(a))) == "NOT_FRIENDS"
        assert await refusal(send(chat, a, direct(b))) == reason
