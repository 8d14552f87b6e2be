"""Friend requests: api.md's hichat family, "friend request"."""

import time

import pytest

from protos.social.v1 import friends_pb2 as pb
from tests.support.social import (
    Running,
    act,
    add,
    ask,
    events_of,
    friends_of,
    handle,
    new_user,
    new_users,
    pair_of,
    refusal,
    request_between,
    requests_of,
)


async def test_a_request_waits_for_the_one_asked(social: Running) -> None:
    asker, asked = new_users(2)
    await ask(social, asker, asked, "我是你大学同学")
    for user in (asker, asked):
        (request,) = await requests_of(social, user)
        assert (request.from_user_id, request.to_user_id, request.message) == (asker, asked, "我是你大学同学")
        assert request.result == pb.PENDING and request.handled_at == 0 and 0 < request.request_id < 2**53
        assert abs(request.requested_at - time.time()) < 5
        assert await friends_of(social, user) == []


async def test_lists_are_by_direction_and_result(social: Running) -> None:
    me, mine, refused, theirs = new_users(4)
    await ask(social, me, mine)
    await ask(social, me, refused)
    await handle(social, refused, await request_between(social, me, refused), pb.REFUSED)
    await ask(social, theirs, me)

    async def peers(direction: int, *results: int) -> list[int]:
        found = await requests_of(social, me, direction, *results)
        return [request.from_user_id + request.to_user_id - me for request in found]

    assert await peers(pb.BOTH) == [mine, refused, theirs]
    assert await peers(pb.MINE) == [mine, refused]
    assert await peers(pb.TO_ME) == [theirs]
    assert await peers(pb.MINE, pb.PENDING) == [mine]
    assert await peers(pb.BOTH, pb.PENDING) == [mine, theirs]
    assert await peers(pb.BOTH, pb.REFUSED, pb.REFUSED, pb.ACCEPTED) == [refused]
    assert await refusal(requests_of(social, me, pb.BOTH, 7)) == "RESULT_INVALID"


async def test_accepting_makes_both_friends(social: Running) -> None:
    asker, asked = new_users(2)
    await ask(social, asker, asked, "hi")
    request_id = await request_between(social, asker, asked)
    await handle(social, asked, request_id, pb.ACCEPTED)
    assert await friends_of(social, asker) == [asked] and await friends_of(social, asked) == [asker]
    (request,) = await requests_of(social, asker)
    assert request.result == pb.ACCEPTED and request.handled_at >= request.requested_at
    data = {"request_id": str(request_id), "message": "hi", "from_user_id": str(asker), "to_user_id": str(asked)}
    assert await events_of(social, pair_of(asker, asked)) == [
        ("friend.requested", {**data, "actor_id": str(asker), "user_id": str(asked)}),
        (
            "friend.accepted",
            {**data, "actor_id": str(asked), "user_id": str(asker), "actor_agreed": True, "user_agreed": True},
        ),
    ]


async def test_refusing_makes_nothing_and_allows_another_request(social: Running) -> None:
    asker, asked = new_users(2)
    await ask(social, asker, asked)
    first = await request_between(social, asker, asked)
    await handle(social, asked, first, pb.REFUSED)
    assert await friends_of(social, asker) == [] == await friends_of(social, asked)
    await ask(social, asker, asked)
    assert [r.result for r in await requests_of(social, asked)] == [pb.REFUSED, pb.PENDING]
    verbs = [verb for verb, _ in await events_of(social, pair_of(asker, asked))]
    assert verbs == ["friend.requested", "friend.refused", "friend.requested"]


async def test_a_second_request_while_one_waits_changes_nothing(social: Running) -> None:
    asker, asked = new_users(2)
    await ask(social, asker, asked, "first")
    await ask(social, asker, asked, "second")
    (request,) = await requests_of(social, asked)
    assert request.message == "first"
    assert len(await events_of(social, pair_of(asker, asked))) == 1


async def test_asking_one_who_asked_makes_friends(social: Running) -> None:
    a, b = new_users(2)
    await ask(social, a, b)
    await ask(social, b, a)
    assert await friends_of(social, a) == [b] and await friends_of(social, b) == [a]
    (request,) = await requests_of(social, a)
    assert request.result == pb.ACCEPTED
    assert (await events_of(social, pair_of(a, b)))[-1][0] == "friend.accepted"


async def test_friends_oneself_and_nobody_cannot_be_asked(social: Running) -> None:
    a, b = new_users(2)
    await add(social, a, b)
    await add(social, b, a)
    assert await refusal(ask(social, a, b)) == "ALREADY_FRIENDS" == await refusal(ask(social, b, a))
    assert await refusal(ask(social, a, a)) == "SELF_FRIEND"
    assert await refusal(ask(social, a, 0)) == "USER_NOT_FOUND" == await refusal(ask(social, a, -1))


async def test_only_the_one_asked_handles_and_only_once(social: Running) -> None:
    asker, asked, stranger = new_users(3)
    await ask(social, asker, asked)
    request_id = await request_between(social, asker, asked)
    for user in (asker, stranger):
        assert await refusal(handle(social, user, request_id, pb.ACCEPTED)) == "REQUEST_NOT_FOUND"
    for result in (pb.PENDING, 3, -1):
        assert await refusal(handle(social, asked, request_id, result)) == "RESULT_INVALID"
    await handle(social, asked, request_id, pb.ACCEPTED)
    for result in (pb.ACCEPTED, pb.REFUSED):
        assert await refusal(handle(social, asked, request_id, result)) == "REQUEST_HANDLED"
    assert await friends_of(social, asked) == [asker]


@pytest.mark.parametrize("bad", [0, -1, 2**63 - 1, -(2**63)])
async def test_a_request_that_is_none_cannot_be_handled(social: Running, bad: int) -> None:
    assert await refusal(handle(social, new_user(), bad, pb.ACCEPTED)) == "REQUEST_NOT_FOUND"


@pytest.mark.parametrize("message", ["x" * 501, "a\0b"])
async def test_a_message_that_cannot_be_kept_is_refused(social: Running, message: str) -> None:
    asker, asked = new_users(2)
    assert await refusal(ask(social, asker, asked, message)) == "MESSAGE_INVALID"
    await ask(social, asker, asked, "字" * 500)


@pytest.mark.parametrize(
    ("claimed", "kept"), [(1_747_205_051, True), (0, False), (-5, False), (1_342_343, False), (2**62, False)]
)
async def test_the_client_may_say_when_it_asked_within_reason(social: Running, claimed: int, kept: bool) -> None:
    asker, asked = new_users(2)
    request = pb.RequestFriendRequest(user_id=asked, requested_at=claimed)
    await act(asker, social.friends.RequestFriend, request)
    (shown,) = await requests_of(social, asked)
    assert (shown.requested_at == claimed) is kept
    assert kept or abs(shown.requested_at - time.time()) < 5
