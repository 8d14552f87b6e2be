"""Friends without asking, their remarks and relations, and how many there may be."""

import re
import time

from protos.social.v1 import friends_pb2 as pb
from tests.support.plans import watching
from tests.support.social import (
    Running,
    act,
    add,
    ask,
    block,
    events_of,
    faults,
    friends_of,
    new_user,
    new_users,
    outcomes,
    pair_of,
    refusal,
    requests_of,
    unfriend,
)


async def list_friends(social: Running, user: int) -> list[pb.Friend]:
    return list((await act(user, social.friends.ListFriends, pb.ListFriendsRequest(limit=500))).friends)


async def set_remark(social: Running, user: int, friend: int, remark: str) -> None:
    await act(user, social.friends.SetRemark, pb.SetRemarkRequest(user_id=friend, remark=remark))


async def relations(social: Running, user: int, *others: int) -> list[pb.Relation]:
    answer = await act(user, social.friends.BatchGetRelations, pb.BatchGetRelationsRequest(user_ids=others))
    return list(answer.relations)


async def check(social: Running, *pairs: tuple[int, int]) -> list[tuple[bool, bool]]:
    asked = [pb.UserPair(user_id=user, peer_id=peer) for user, peer in pairs]
    answer = await social.friends.BatchCheckFriends(pb.BatchCheckFriendsRequest(pairs=asked))
    return [(check.friend, check.blocked) for check in answer.checks]


async def test_adding_makes_both_friends_at_once(social: Running) -> None:
    a, b = new_users(2)
    await add(social, a, b)
    for user, other in ((a, b), (b, a)):
        (friend,) = await list_friends(social, user)
        assert (friend.user_id, friend.remark) == (other, "") and 0 < friend.relation_id < 2**53
        assert abs(friend.since / 1000 - time.time()) < 5
    data = {"actor_id": str(a), "user_id": str(b), "actor_agreed": True, "user_agreed": False}
    assert await events_of(social, pair_of(a, b)) == [("friend.added", data)]


async def test_adding_settles_what_was_asked(social: Running) -> None:
    a, b = new_users(2)
    await ask(social, b, a)
    await add(social, a, b)
    assert [request.result for request in await requests_of(social, b)] == [pb.ACCEPTED]


async def test_friends_cannot_be_added_again(social: Running) -> None:
    a, b = new_users(2)
    await add(social, a, b)
    await add(social, b, a)
    assert await refusal(add(social, a, b)) == "ALREADY_FRIENDS" == await refusal(add(social, b, a))
    assert await refusal(add(social, a, a)) == "SELF_FRIEND"
    assert await refusal(add(social, a, 0)) == "USER_NOT_FOUND" == await refusal(add(social, a, -7))


async def test_deleting_ends_it_for_both_and_may_be_repeated(social: Running) -> None:
    a, b, stranger = new_users(3)
    await add(social, a, b)
    await unfriend(social, b, a)
    await unfriend(social, b, a)
    await unfriend(social, a, stranger)
    assert await friends_of(social, a) == [] == await friends_of(social, b)
    assert (await events_of(social, pair_of(a, b)))[1:] == [("friend.removed", {"actor_id": str(b), "user_id": str(a)})]
    assert await refusal(unfriend(social, a, 0)) == "USER_NOT_FOUND"
    await add(social, b, a)


async def test_a_remark_is_its_writers_own(social: Running) -> None:
    a, b = new_users(2)
    await add(social, a, b)
    await set_remark(social, a, b, "老同学")
    assert [friend.remark for friend in await list_friends(social, a)] == ["老同学"]
    assert [friend.remark for friend in await list_friends(social, b)] == [""]
    await set_remark(social, a, b, "")
    assert [friend.remark for friend in await list_friends(social, a)] == [""]


async def test_a_remark_is_for_friends_and_short(social: Running) -> None:
    a, b = new_users(2)
    for other in (b, a, 0, -1, 2**63 - 1):
        assert await refusal(set_remark(social, a, other, "x")) == "FRIEND_NOT_FOUND"
    await add(social, a, b)
    for remark in ("x" * 51, "a\0"):
        assert await refusal(set_remark(social, a, b, remark)) == "REMARK_INVALID"
    await set_remark(social, a, b, "字" * 50)


async def test_relations_answer_each_in_order(social: Running) -> None:
    me, friend, blocked, blocker, stranger = new_users(5)
    await add(social, me, friend)
    await set_remark(social, me, friend, "r")
    await block(social, me, blocked)
    await block(social, blocker, me)
    found = await relations(social, me, stranger, friend, blocked, blocker, friend, 0, -1)
    assert [(r.user_id, r.friend, r.blocked, r.remark) for r in found] == [
        (stranger, False, False, ""),
        (friend, True, False, "r"),
        (blocked, False, True, ""),
        (blocker, False, False, ""),  # which is not told
        (friend, True, False, "r"),
        (0, False, False, ""),
        (-1, False, False, ""),
    ]
    assert await relations(social, me) == []
    assert await refusal(relations(social, me, *range(501))) == "BATCH_TOO_LARGE"


async def test_checks_answer_each_pair_in_order_whoever_blocked(social: Running) -> None:
    me, friend, blocked, stranger = new_users(4)
    await add(social, me, friend)
    await block(social, me, blocked)
    pairs = [(me, stranger), (blocked, me), (friend, me), (me, blocked), (me, friend), (0, -1)]
    assert await check(social, *pairs) == [
        (False, False),
        (False, True),
        (True, False),
        (False, True),
        (True, False),
        (False, False),
    ]
    assert await check(social) == []
    assert await refusal(check(social, *[(1, 2)] * 501)) == "BATCH_TOO_LARGE"


async def test_nobody_has_more_friends_than_allowed(small: Running) -> None:
    me, *others = new_users(21)
    assert await outcomes(*(add(small, me, other) for other in others)) == {"": 3, "FRIEND_LIMIT_REACHED": 17}
    assert len(await friends_of(small, me)) == 3
    late = new_user()
    assert await refusal(add(small, late, me)) == "FRIEND_LIMIT_REACHED"  # the other one is full
    await unfriend(small, me, (await friends_of(small, me))[0])
    await add(small, late, me)
    assert not await faults(small)


async def test_accepting_is_limited_and_the_request_waits_on(small: Running) -> None:
    me, *others = new_users(5)
    for other in others:
        await ask(small, other, me)
    requests = await requests_of(small, me)
    handled = [pb.HandleFriendRequestRequest(request_id=r.request_id, result=pb.ACCEPTED) for r in requests]
    refusals = await outcomes(*(act(me, small.friends.HandleFriendRequest, request) for request in handled))
    assert refusals == {"": 3, "FRIEND_LIMIT_REACHED": 1}
    assert len(await requests_of(small, me, pb.TO_ME, pb.PENDING)) == 1


async def test_nobody_has_more_requests_pending_than_allowed(small: Running) -> None:
    me, *others = new_users(11)
    assert await outcomes(*(ask(small, me, other) for other in others)) == {"": 3, "REQUEST_LIMIT_REACHED": 7}
    pending = await requests_of(small, me)
    assert len(pending) == 3
    await ask(small, me, pending[0].to_user_id)  # again: no more than there were
    await ask(small, new_user(), me)


async def test_an_add_is_a_lock_a_look_and_a_write(social: Running) -> None:
    a, b = new_users(2)
    with watching(social.service.database) as seen:
        await add(social, a, b)
    mine = [each for each in seen if re.search("pg_advisory_xact_lock|friendship", each.shape.text)]
    assert len(mine) == 3
