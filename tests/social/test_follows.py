"""Following: one-way, counted exactly, by request where a user wants it so, ended by a block."""

import asyncio
import random

import pytest

from protos.social.v1 import follows_pb2 as pb
from protos.social.v1 import friends_pb2
from services.social.consumer import forget_user
from tests.support.social import (
    ADMIN_ROLE,
    Running,
    act,
    block,
    events_of,
    new_user,
    new_users,
    refusal,
    set_privacy,
    unblock,
)


async def change(social: Running, *changes: tuple[int, int, bool]) -> list[str]:
    """The reasons, `requested` for those that wait, and "" for those that are done."""
    asked = [pb.FollowChange(user_id=user, followed_id=followed, follows=on) for user, followed, on in changes]
    outcomes = (await act(0, social.follows.SetFollows, pb.SetFollowsRequest(changes=asked))).outcomes
    return [outcome.reason or ("requested" if outcome.requested else "") for outcome in outcomes]


async def follow(social: Running, user: int, followed: int) -> str:
    return (await change(social, (user, followed, True)))[0]


async def unfollow(social: Running, user: int, followed: int) -> str:
    return (await change(social, (user, followed, False)))[0]


async def listed(
    social: Running, viewer: int, which: pb.FollowList.ValueType, owner: int = 0, limit: int = 500, role: int = 1
) -> list[int]:
    ids: list[int] = []
    cursor = ""
    while True:
        request = pb.ListFollowsRequest(list=which, user_id=owner, cursor=cursor, limit=limit)
        page = await act(viewer, social.follows.ListFollows, request, role)
        ids += page.user_ids
        if not (cursor := page.next_cursor):
            return ids


async def counts(social: Running, user: int) -> tuple[int, int]:
    """Followers and followed."""
    found = await social.follows.BatchGetFollowCounts(pb.BatchGetFollowCountsRequest(user_ids=[user]))
    return found.counts[0].followers, found.counts[0].following


async def state(social: Running, viewer: int, user: int) -> tuple[bool, bool, bool]:
    request = pb.BatchGetFollowStatesRequest(user_ids=[user])
    found = (await act(viewer, social.follows.BatchGetFollowStates, request)).states[0]
    return found.follows, found.requested, found.follows_me


async def answer(social: Running, user: int, follower: int, accept: bool) -> None:
    request = pb.HandleFollowRequestRequest(user_id=follower, accept=accept)
    await act(user, social.follows.HandleFollowRequest, request)


async def test_following_is_one_way_and_counted(social: Running) -> None:
    a, b, c = new_users(3)
    assert [await follow(social, a, b) for _ in range(2)] == ["", ""]
    assert await follow(social, c, b) == "" == await follow(social, b, a)
    assert await counts(social, b) == (2, 1) and await counts(social, a) == (1, 1) and await counts(social, c) == (0, 1)
    assert await state(social, a, b) == (True, False, True)  # mutual
    assert await state(social, c, b) == (True, False, False)
    assert await listed(social, c, pb.FOLLOWERS, b) == [c, a] == await listed(social, c, pb.FOLLOWERS, b, limit=1)
    assert await listed(social, c, pb.FOLLOWING) == [b]
    assert [await unfollow(social, a, b) for _ in range(2)] == ["", ""]
    assert await counts(social, b) == (1, 1) and await counts(social, a) == (1, 0)
    assert [verb for verb, _ in await events_of(social, f"pair:{a}:{b}")] == [
        "follow.started",
        "follow.started",
        "follow.ended",
    ]


async def test_what_is_refused(social: Running) -> None:
    a, b = new_users(2)
    assert await follow(social, a, a) == "SELF_FOLLOW" and await follow(social, a, 0) == "USER_NOT_FOUND"
    assert await unfollow(social, a, a) == "SELF_FOLLOW"
    await block(social, a, b)
    assert await follow(social, a, b) == "BLOCKED"
    assert await follow(social, b, a) == "", "the blocked hear what a stranger hears"
    assert await counts(social, a) == (0, 0) == await counts(social, b)
    assert await state(social, b, a) == (False, False, False)
    await unblock(social, a, b)
    assert await follow(social, b, a) == "" and await counts(social, a) == (1, 0)


async def test_a_block_ends_it_both_ways_and_hides_from_lists(social: Running) -> None:
    a, b, owner = new_users(3)
    for pair in ((a, b), (b, a), (a, owner), (b, owner)):
        await follow(social, *pair)
    await block(social, a, b)
    assert await counts(social, a) == (0, 1) == await counts(social, b)
    assert await listed(social, a, pb.FOLLOWERS, owner) == [a] and await listed(social, b, pb.FOLLOWERS, owner) == [b]
    assert await listed(social, owner, pb.FOLLOWERS) == [b, a]
    assert await refusal(listed(social, b, pb.FOLLOWERS, a)) == "FOLLOWS_HIDDEN"
    assert await refusal(listed(social, a, pb.FOLLOWING, b)) == "FOLLOWS_HIDDEN"


async def test_who_accepts_followers_one_by_one(social: Running) -> None:
    owner, fan, other, stranger = new_users(4)
    await set_privacy(social, owner, who_may_follow=friends_pb2.FOLLOW_IF_ACCEPTED)
    assert [await follow(social, fan, owner) for _ in range(2)] == ["requested", "requested"]
    assert await follow(social, other, owner) == "requested"
    assert await counts(social, owner) == (0, 0) and await state(social, fan, owner) == (False, True, False)
    assert await listed(social, owner, pb.FOLLOW_REQUESTS) == [other, fan]
    assert await listed(social, stranger, pb.FOLLOW_REQUESTS, owner) == []
    await answer(social, owner, fan, accept=True)
    await answer(social, owner, other, accept=False)
    for user in (fan, other, stranger):
        assert await refusal(answer(social, owner, user, accept=True)) == "REQUEST_NOT_FOUND"
    assert await counts(social, owner) == (1, 0) and await listed(social, owner, pb.FOLLOW_REQUESTS) == []
    assert await listed(social, fan, pb.FOLLOWERS, owner) == [fan] == await listed(social, owner, pb.FOLLOWERS)
    assert await refusal(listed(social, stranger, pb.FOLLOWERS, owner)) == "FOLLOWS_HIDDEN"
    assert await listed(social, stranger, pb.FOLLOWERS, owner, role=ADMIN_ROLE) == [fan]
    (_, asked), (verb, accepted) = await events_of(social, f"pair:{owner}:{fan}")
    assert verb == "follow.started" and accepted == asked | {"accepted": True}
    await follow(social, other, owner)
    await unfollow(social, other, owner)  # takes the request back
    assert await listed(social, owner, pb.FOLLOW_REQUESTS) == []


async def test_a_follower_is_removed(social: Running) -> None:
    a, b = new_users(2)
    await follow(social, a, b)
    for _ in range(2):
        await act(b, social.follows.RemoveFollower, pb.RemoveFollowerRequest(user_id=a))
    assert await counts(social, b) == (0, 0) == await counts(social, a)
    await set_privacy(social, b, who_may_follow=friends_pb2.FOLLOW_IF_ACCEPTED)
    await follow(social, a, b)
    await act(b, social.follows.RemoveFollower, pb.RemoveFollowerRequest(user_id=a))
    assert await listed(social, b, pb.FOLLOW_REQUESTS) == []


async def test_fifty_at_once_are_counted_once_each(social: Running) -> None:
    """Followers, the same one again, unfollows and a block, in any order: counts are what the rows say, by `faults`."""
    owner = new_user()
    fans = new_users(10)
    calls = [change(social, (fan, owner, on)) for fan in fans for on in (True, True, False, True)]
    calls += [change(social, (owner, fan, True)) for fan in fans]
    random.shuffle(calls)
    await asyncio.gather(*calls, block(social, owner, fans[0]))
    followers, following = await counts(social, owner)
    assert followers == len(await listed(social, owner, pb.FOLLOWERS)) and following == 9
    assert fans[0] not in await listed(social, owner, pb.FOLLOWERS)
    for fan in fans:
        await change(social, (fan, owner, True))
    assert await counts(social, owner) == (9, 9)


async def test_no_more_than_one_may(small: Running) -> None:
    user, *others = new_users(5)
    assert [await follow(small, user, other) for other in others] == ["", "", "", "FOLLOW_LIMIT_REACHED"]
    assert await follow(small, user, others[0]) == ""
    await unfollow(small, user, others[0])
    assert await follow(small, user, others[3]) == ""


async def test_an_erased_account_follows_nobody_and_is_followed_by_nobody(social: Running) -> None:
    gone, fan, idol = new_users(3)
    await follow(social, fan, gone)
    await follow(social, gone, idol)
    async with social.service.database.transaction() as connection:
        await forget_user(connection, gone)
    assert await counts(social, fan) == (0, 0) == await counts(social, idol) == await counts(social, gone)
    assert await listed(social, fan, pb.FOLLOWING) == [] == await listed(social, idol, pb.FOLLOWERS)


@pytest.mark.parametrize("cursor", ["x", "WyJ4Il0"])
async def test_a_made_up_cursor_is_refused(social: Running, cursor: str) -> None:
    request = pb.ListFollowsRequest(cursor=cursor)
    assert await refusal(act(new_user(), social.follows.ListFollows, request)) == "CURSOR_INVALID"
