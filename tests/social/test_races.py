"""Concurrent calls: one wins, and the result is consistent (the `social` fixture checks pairs and counts after each
test)."""

import asyncio
from collections import Counter
from collections.abc import Awaitable

from protos.social.v1 import friends_pb2
from tests.support.social import (
    Running,
    add,
    applications,
    ask,
    block,
    create_group,
    decide,
    dismiss,
    execute,
    friends_of,
    group_with,
    handle,
    invite,
    join,
    leave,
    new_users,
    outcomes,
    pair_of,
    remove,
    request_between,
    requests_of,
    roles_in,
    set_role,
    transfer,
    unfriend,
    verbs_of,
)

ACCEPTED, REFUSED = friends_pb2.ACCEPTED, friends_pb2.REFUSED


async def test_one_of_fifty_handles_a_request(social: Running) -> None:
    asker, asked = new_users(2)
    await ask(social, asker, asked)
    request = await request_between(social, asker, asked)
    results = [ACCEPTED, REFUSED] * 25
    assert await outcomes(*(handle(social, asked, request, result) for result in results)) == {
        "": 1,
        "REQUEST_HANDLED": 49,
    }
    (shown,) = await requests_of(social, asker)
    assert (await friends_of(social, asker) == [asked]) is (shown.result == ACCEPTED)


async def test_asking_each_other_at_once_makes_one_friendship(social: Running) -> None:
    a, b = new_users(2)
    pairs = [(a, b), (b, a)] * 25
    refusals = await outcomes(*(ask(social, *pair) for pair in pairs))
    assert set(refusals) <= {"", "ALREADY_FRIENDS"}
    assert await friends_of(social, a) == [b] and await friends_of(social, b) == [a]
    assert await requests_of(social, a, 0, 0, REFUSED) == []
    assert await verbs_of(social, pair_of(a, b)) == ["friend.requested", "friend.accepted"]


async def test_asking_accepting_and_adding_at_once_makes_one_friendship(social: Running) -> None:
    a, b = new_users(2)
    await ask(social, a, b)
    request = await request_between(social, a, b)
    calls = [
        call
        for _ in range(12)
        for call in (add(social, a, b), add(social, b, a), ask(social, b, a), handle(social, b, request, ACCEPTED))
    ]
    refusals = await outcomes(*calls)
    # Two if the one who asked added first: the other then agreed.
    assert refusals[""] in (1, 2) and set(refusals) == {"", "ALREADY_FRIENDS", "REQUEST_HANDLED"}
    assert await friends_of(social, a) == [b]
    assert await requests_of(social, a, 0, 0) == []


async def test_fifty_first_requests_are_one(social: Running) -> None:
    a, b = new_users(2)
    assert await outcomes(*(ask(social, a, b) for _ in range(50))) == {"": 50}
    assert len(await requests_of(social, b)) == 1


async def test_after_a_block_nothing_is_left_whoever_was_first(social: Running) -> None:
    a, b = new_users(2)
    calls = [add(social, b, a) for _ in range(20)] + [ask(social, b, a) for _ in range(20)]
    calls[20:20] = [block(social, a, b) for _ in range(10)]
    refusals = await outcomes(*calls)
    assert set(refusals) <= {"", "ALREADY_FRIENDS"}
    assert await friends_of(social, a) == [] == await friends_of(social, b)
    assert await requests_of(social, a, friends_pb2.TO_ME, 0) == []


async def test_adding_and_deleting_at_once_leaves_both_or_neither(social: Running) -> None:
    a, b = new_users(2)
    calls = [add(social, a, b) if i % 2 else unfriend(social, b, a) for i in range(50)]
    assert set(await outcomes(*calls)) <= {"", "ALREADY_FRIENDS"}
    assert bool(await friends_of(social, a)) is bool(await friends_of(social, b))


async def test_a_crowd_adding_itself_gets_every_pair_once(social: Running) -> None:
    crowd = new_users(8)
    pairs = [(a, b) for a in crowd for b in crowd if a != b]
    assert await outcomes(*(add(social, *pair) for pair in pairs)) == {"": 56}  # each side adds once
    assert await outcomes(*(add(social, *pair) for pair in pairs)) == {"ALREADY_FRIENDS": 56}
    for user in crowd:
        assert await friends_of(social, user) == [other for other in crowd if other != user]


async def test_join_approve_and_invite_make_one_membership(social: Running) -> None:
    owner, manager, guest = new_users(3)
    group = await group_with(social, owner, manager, managers=[manager])
    await join(social, guest, group)
    request = (await applications(social, owner, group))[0].request_id
    calls = [
        call
        for _ in range(12)
        for call in (
            join(social, guest, group, manager),
            decide(social, owner, group, request, ACCEPTED),
            invite(social, manager, group, guest),
            join(social, guest, group),
        )
    ]
    refusals = await outcomes(*calls)
    assert set(refusals) <= {"", "REQUEST_HANDLED"} and refusals["REQUEST_HANDLED"] in (11, 12)
    assert await roles_in(social, owner, group) == {owner: 2, manager: 1, guest: 0}
    assert (await verbs_of(social, f"group:{group}")).count("group.joined") == 2  # the manager's, too
    assert [a.result for a in await applications(social, guest)] == [ACCEPTED]


async def test_of_managers_who_handle_one_application_one_wins(social: Running) -> None:
    owner, one, two, guest = new_users(4)
    group = await group_with(social, owner, one, two, managers=[one, two])
    await join(social, guest, group)
    request = (await applications(social, owner, group))[0].request_id
    calls = [decide(social, who, group, request, result) for who, result in [(one, ACCEPTED), (two, REFUSED)] * 25]
    assert await outcomes(*calls) == {"": 1, "REQUEST_HANDLED": 49}
    (shown,) = await applications(social, guest)
    joined = shown.result == ACCEPTED
    assert (guest in await roles_in(social, owner, group)) is joined
    assert shown.handler_id == (one if joined else two)


async def test_fifty_join_one_group(social: Running) -> None:
    owner, *guests = new_users(26)
    group = await create_group(social, owner, approval=False)
    assert await outcomes(*(join(social, guest, group) for guest in guests * 2)) == {"": 50}
    assert set(await roles_in(social, owner, group)) == {owner, *guests}


async def test_a_member_goes_once_by_leaving_or_by_removal(social: Running) -> None:
    owner, manager, member = new_users(3)
    group = await group_with(social, owner, manager, member, managers=[manager])
    calls = [
        call
        for _ in range(17)
        for call in (
            leave(social, member, group),
            remove(social, manager, group, member),
            remove(social, owner, group, member),
        )
    ]
    refusals = await outcomes(*calls)
    assert refusals[""] == 1 and set(refusals) == {"", "NOT_MEMBER", "MEMBER_NOT_FOUND"}
    verbs = Counter(await verbs_of(social, f"group:{group}"))
    assert verbs["group.left"] + verbs["group.removed"] == 1


async def test_a_group_always_has_one_owner(social: Running) -> None:
    owner, heir, other = new_users(3)
    group = await group_with(social, owner, heir, other)
    calls = [
        call
        for _ in range(10)
        for call in (
            transfer(social, owner, group, heir),
            transfer(social, heir, group, other),
            leave(social, owner, group),
            leave(social, heir, group),
            set_role(social, owner, group, heir, 1),
        )
    ]
    refusals = await outcomes(*calls)
    assert set(refusals) <= {"", "NOT_PERMITTED", "NOT_MEMBER", "MEMBER_NOT_FOUND", "OWNER_MUST_STAY"}
    rows = await execute(social, "SELECT user_id FROM member WHERE group_id = :group AND role = 2", group=group)
    assert len(rows) == 1


async def test_nobody_is_left_in_a_group_that_is_dismissed(social: Running) -> None:
    owner, *guests = new_users(41)
    group = await create_group(social, owner, approval=False)
    calls: list[Awaitable[object]] = [join(social, guest, group) for guest in guests]
    calls[20:20] = [dismiss(social, owner, group) for _ in range(10)]
    refusals = await outcomes(*calls)
    assert set(refusals) <= {"", "GROUP_NOT_FOUND"} and refusals["GROUP_NOT_FOUND"] >= 9
    assert await execute(social, "SELECT FROM member WHERE group_id = :group", group=group) == []


async def test_what_touches_many_users_and_groups_at_once_does_not_deadlock(social: Running) -> None:
    crowd = new_users(4)
    groups = [await group_with(social, *crowd[i:], *crowd[:i], approval=False) for i in range(4)]

    async def life(me: int) -> None:
        for other, group in zip(crowd * 2, groups * 2, strict=True):
            calls = [leave(social, me, group), join(social, me, group)]
            calls += [add(social, me, other), block(social, other, me), unfriend(social, me, other)]
            assert "UNAVAILABLE" not in await outcomes(*calls)

    await asyncio.gather(*map(life, crowd))
