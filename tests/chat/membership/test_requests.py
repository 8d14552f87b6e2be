"""Message requests, and that nothing of a user crosses a block (docs/contract/chat.md, "Who may talk")."""

import asyncio

from protos.chat.v1 import conversations_pb2 as pb
from protos.social.v1 import friends_pb2
from tests.support.chat import (
    Frames,
    Running,
    answer,
    conversation,
    deliver,
    direct,
    execute,
    friends,
    group,
    group_conversation,
    listed,
    members_of,
    notifications,
    read,
    say_typing,
    send,
    sync,
    until,
    watching,
)
from tests.support.social import Running as Social
from tests.support.social import act, add, agree, block, group_with, new_users, outcomes, refusal, unblock

SILENCE = 0.5  # seconds in which nothing arrives


async def a_request(chat: Running, social: Social, messages: int = 1) -> tuple[int, int, int]:
    """A user, the one whom they wrote to without their agreement, and the conversation."""
    a, b = new_users(2)
    await add(social, a, b)
    acks = [await send(chat, a, direct(b)) for _ in range(messages)]
    return a, b, acks[0].conversation_id


async def is_request(chat: Running, user: int, conversation_id: int) -> bool | None:
    """None: the conversation is not in the user's list."""
    return {each.conversation_id: each.request for each in await listed(chat, user)}.get(conversation_id)


async def agreed(social: Social, user: int, peer: int) -> bool:
    request = friends_pb2.BatchCheckFriendsRequest(pairs=[friends_pb2.UserPair(user_id=user, peer_id=peer)])
    return (await social.friends.BatchCheckFriends(request)).checks[0].user_agreed


async def positions(chat: Running, viewer: int, member: int, conversation_id: int) -> set[tuple[int, int]]:
    """What the viewer is shown of how far the member has read, by each way."""
    request = pb.GetReceiptsRequest(conversation_id=conversation_id, limit=100)
    rows = list((await act(viewer, chat.conversations.GetReceipts, request)).members)
    rows += (await sync(chat, viewer, {conversation_id: 0}))[conversation_id].members
    return {(row.read_seq, row.delivered_seq) for row in rows if row.user_id == member}


async def told(frames: Frames, conversation_id: int) -> list[str]:
    """Receipts and typing in the conversation that reached NATS, after a moment."""
    await asyncio.sleep(SILENCE)
    subject = f"push.conv.{conversation_id}"
    return [
        frame["type"] for name, _, frame in frames.seen if name == subject and frame["type"] in ("typing", "receipt")
    ]


async def test_a_first_message_is_a_request_and_an_answer_agrees(chat: Running, social: Social) -> None:
    a, b, id = await a_request(chat, social)
    assert await is_request(chat, b, id) is True and await is_request(chat, a, id) is False
    await send(chat, b, conversation(id))
    assert await is_request(chat, b, id) is False
    assert await until(lambda: agreed(social, b, a))
    for _ in range(5):
        await send(chat, a, direct(b))


async def test_an_answer_that_only_the_social_service_knows_ends_the_request(chat: Running, social: Social) -> None:
    """As after a restore, whose snapshot of the chat is the earlier one (ADR 10)."""
    a, b, id = await a_request(chat, social)
    await agree(social, b, a)
    assert await until(lambda: is_no_request(chat, b, id))
    for _ in range(5):
        await send(chat, a, direct(b))


async def is_no_request(chat: Running, user: int, conversation_id: int) -> bool:
    return await is_request(chat, user, conversation_id) is False


async def test_between_users_who_agreed_there_is_no_request(chat: Running, social: Social) -> None:
    a, b = await friends(social)
    id = (await send(chat, a, direct(b))).conversation_id
    assert await is_request(chat, b, id) is False


async def test_three_messages_wait_for_an_answer_whoever_races(chat: Running, social: Social) -> None:
    a, b, id = await a_request(chat, social)
    assert await outcomes(*(send(chat, a, direct(b)) for _ in range(50))) == {"": 2, "ANSWER_AWAITED": 48}
    assert await outcomes(*(send(chat, b, conversation(id)) for _ in range(50))) == {"": 50}
    await send(chat, a, conversation(id))
    rows = await execute(chat, "SELECT FROM outbox WHERE data ->> 'actor_id' = :id", id=str(b))
    assert len(rows) == 1


async def test_nothing_of_the_asked_goes_back_before_they_answer(chat: Running, social: Social) -> None:
    a, b, id = await a_request(chat, social)
    async with watching(chat) as frames:
        await say_typing(chat, b, id)
        await deliver(chat, b, id, 1)
        await read(chat, b, id, 1)
        assert await told(frames, id) == []
        assert await positions(chat, a, b, id) == {(0, 0)}
        await answer(chat, b, id, accept=True)
        await say_typing(chat, b, id)
        assert await told(frames, id) == ["typing"]
    assert await positions(chat, a, b, id) == {(1, 1)}


async def test_a_mention_in_a_request_is_no_notification(chat: Running, social: Social) -> None:
    a, b = new_users(2)
    await add(social, a, b)
    await send(chat, a, direct(b), mentions=[b])
    assert [each.kind for each in await notifications(chat, b) if each.kind == "mention"] == []


async def test_declining_hides_it_and_the_sender_does_not_notice(chat: Running, social: Social) -> None:
    a, b, id = await a_request(chat, social)
    async with watching(chat, f"push.user.{b}") as frames:
        for _ in range(2):
            await answer(chat, b, id, accept=False)
        await frames.expect(f"push.user.{b}", "conversation", left=True)
        assert await is_request(chat, b, id) is None
        await send(chat, a, direct(b))
        assert await is_request(chat, b, id) is None and await is_request(chat, a, id) is False
        assert not await agreed(social, b, a)
        await send(chat, b, direct(a))  # they changed their mind
        await frames.expect(f"push.user.{b}", "conversation", kind="direct")
    assert await is_request(chat, b, id) is False


async def test_only_the_asked_answers(chat: Running, social: Social) -> None:
    a, b, id = await a_request(chat, social)
    (stranger,) = new_users(1)
    for accept in (True, False):
        assert await refusal(answer(chat, stranger, id, accept)) == "CONVERSATION_NOT_FOUND"
        await answer(chat, a, id, accept)
    assert await is_request(chat, b, id) is True and await is_request(chat, a, id) is False


async def test_adding_back_opens_the_request(chat: Running, social: Social) -> None:
    a, b, id = await a_request(chat, social, messages=3)
    await add(social, b, a)

    async def is_open() -> bool:
        return not await is_request(chat, b, id)

    assert await until(is_open)
    await send(chat, a, direct(b))


async def test_a_block_is_silent_in_a_shared_group(chat: Running, social: Social) -> None:
    a, b, c = await friends(social, 3)
    group_id = await group_with(social, a, b, c)
    id = await group_conversation(chat, group_id, a, b, c)
    await send(chat, c, group(group_id))
    assert await members_of(chat, group_id) == {a, b, c}
    await block(social, b, a)

    async def is_known() -> bool:
        return bool(await execute(chat, "SELECT FROM block WHERE user_id = :b AND blocked_id = :a", a=a, b=b))

    await until(is_known)
    async with watching(chat) as frames:
        for user, peer in ((a, b), (b, a)):
            await say_typing(chat, user, id)
            await read(chat, user, id, 1)
            assert await positions(chat, peer, user, id) == {(0, 0)}
            assert await positions(chat, c, user, id) == {(1, 1)}
        await until(lambda: _count(frames, id, 4))
        pushed = [(headers, frame) for name, headers, frame in frames.seen if name == f"push.conv.{id}"]
        hidden = {(headers["hidden_from"], frame["data"]["user_id"]) for headers, frame in pushed}
        assert hidden == {(str(b), str(a)), (str(a), str(b))}


async def test_positions_stay_as_they_were_before_a_block(chat: Running, social: Social) -> None:
    """Neither back to 0, which would tell the blocked, nor on with what the other reads from then on."""
    a, b = await friends(social)
    id = (await send(chat, a, direct(b))).conversation_id
    await send(chat, a, direct(b))
    await read(chat, b, id, 1)
    await deliver(chat, b, id, 2)
    assert await positions(chat, a, b, id) == {(1, 2)}
    for event in (block, unblock, block):  # also when it is renewed
        await event(social, b, a)
        wanted = event is block

        async def is_known(wanted: bool = wanted) -> bool:
            query = "SELECT FROM block WHERE user_id = :b AND blocked_id = :a AND blocked = :wanted"
            return bool(await execute(chat, query, a=a, b=b, wanted=wanted))

        assert await until(is_known)
        assert await positions(chat, a, b, id) == {(1, 2)}
    await read(chat, b, id, 2)
    assert await positions(chat, a, b, id) == {(1, 2)}
    assert await positions(chat, b, b, id) == {(2, 2)}
    await unblock(social, b, a)

    async def is_over() -> bool:
        return await positions(chat, a, b, id) == {(2, 2)}

    assert await until(is_over)


async def _count(frames: Frames, id: int, count: int) -> bool:
    return len(frames.of(f"push.conv.{id}")) >= count


async def test_the_blocked_hears_what_a_stranger_hears(chat: Running, social: Social) -> None:
    a, b = await friends(social)
    (stranger,) = new_users(1)
    id = (await send(chat, a, direct(b))).conversation_id
    await block(social, b, a)

    async def is_blocked() -> bool:
        return await refusal(send(chat, a, conversation(id))) == "NOT_FRIENDS"

    assert await until(is_blocked)
    assert await refusal(send(chat, a, direct(b))) == await refusal(send(chat, stranger, direct(b))) == "NOT_FRIENDS"
    assert await refusal(send(chat, b, direct(a))) == "BLOCKED" == await refusal(send(chat, b, conversation(id)))
