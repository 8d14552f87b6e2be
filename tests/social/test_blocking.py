"""Blocks: they end the friendship, keep the blocked user away, and tell that user nothing."""

from protos.social.v1 import friends_pb2 as pb
from protos.social.v1 import groups_pb2 as groups_pb
from tests.support.social import (
    Running,
    act,
    add,
    applications,
    ask,
    block,
    events_of,
    friends_of,
    group_with,
    handle,
    join,
    new_users,
    pair_of,
    refusal,
    request_between,
    requests_of,
    unblock,
    verbs_of,
)


async def blocks_of(social: Running, user: int, cursor: str = "", limit: int = 500) -> pb.ListBlocksResponse:
    request = pb.ListBlocksRequest(cursor=cursor, limit=limit)
    answer: pb.ListBlocksResponse = await act(user, social.friends.ListBlocks, request)
    return answer


async def test_blocking_ends_the_friendship(social: Running) -> None:
    a, b = new_users(2)
    await add(social, a, b)
    await block(social, a, b)
    await block(social, a, b)
    assert await friends_of(social, a) == [] == await friends_of(social, b)
    ids = {"actor_id": str(a), "user_id": str(b)}
    assert (await events_of(social, pair_of(a, b)))[1:] == [("friend.removed", ids), ("user.blocked", ids)]
    await unblock(social, a, b)
    await unblock(social, a, b)
    assert await friends_of(social, a) == []
    assert (await verbs_of(social, pair_of(a, b)))[3:] == ["user.unblocked"]


async def test_the_list_is_the_callers_newest_first(social: Running) -> None:
    me, *others = new_users(4)
    for other in others:
        await block(social, me, other)
        await block(social, other, others[0] + 1_000)
    assert list((await blocks_of(social, me)).user_ids) == others[::-1]
    first = await blocks_of(social, me, limit=2)
    rest = await blocks_of(social, me, first.next_cursor, limit=2)
    assert [*first.user_ids, *rest.user_ids] == others[::-1] and not rest.next_cursor


async def test_a_user_cannot_block_themselves_or_user_0(social: Running) -> None:
    (me,) = new_users(1)
    assert await refusal(block(social, me, me)) == "SELF_BLOCK"
    for bad in (0, -1):
        assert await refusal(block(social, me, bad)) == "USER_NOT_FOUND" == await refusal(unblock(social, me, bad))


async def test_who_is_blocked_asks_and_adds_in_vain_and_does_not_notice(social: Running) -> None:
    blocker, other, asker = new_users(3)
    await block(social, blocker, asker)
    for peer in (blocker, other):
        await ask(social, asker, peer, "hi")
        await ask(social, asker, peer, "again")
    seen = [(r.to_user_id, r.message, r.result, r.handled_at) for r in await requests_of(social, asker)]
    assert seen == [(blocker, "hi", 0, 0), (other, "hi", 0, 0)]
    await add(social, asker, blocker)
    await add(social, asker, blocker)
    assert await requests_of(social, blocker) == []
    assert await friends_of(social, asker) == [] == await friends_of(social, blocker)
    assert await verbs_of(social, pair_of(blocker, asker)) == ["user.blocked"]


async def test_adding_one_who_blocked_looks_like_a_request(social: Running) -> None:
    blocker, adder = new_users(2)
    await block(social, blocker, adder)
    await add(social, adder, blocker)
    (request,) = await requests_of(social, adder)
    assert (request.to_user_id, request.result) == (blocker, pb.PENDING)
    assert await requests_of(social, blocker) == []


async def test_a_hidden_request_cannot_be_handled_even_by_guessing(social: Running) -> None:
    blocker, asker = new_users(2)
    await block(social, blocker, asker)
    await ask(social, asker, blocker)
    (request,) = await requests_of(social, asker)
    for result in (pb.ACCEPTED, pb.REFUSED):
        assert await refusal(handle(social, blocker, request.request_id, result)) == "REQUEST_NOT_FOUND"


async def test_the_blocker_has_to_unblock_first(social: Running) -> None:
    a, b = new_users(2)
    await block(social, a, b)
    assert await refusal(ask(social, a, b)) == "BLOCKED" == await refusal(add(social, a, b))
    await unblock(social, a, b)
    await add(social, a, b)


async def test_blocking_withdraws_the_blockers_request_and_hides_the_others(social: Running) -> None:
    a, b, c = new_users(3)
    await ask(social, a, b)
    await ask(social, c, a)
    await block(social, a, b)
    await block(social, a, c)
    assert await requests_of(social, a) == [] == await requests_of(social, b)
    assert [request.result for request in await requests_of(social, c)] == [pb.PENDING]


async def test_a_request_that_waits_cannot_be_accepted_once_its_sender_is_blocked(social: Running) -> None:
    asker, asked = new_users(2)
    await ask(social, asker, asked)
    request_id = await request_between(social, asker, asked)
    await block(social, asked, asker)
    assert await refusal(handle(social, asked, request_id, pb.ACCEPTED)) == "REQUEST_NOT_FOUND"
    await unblock(social, asked, asker)
    assert await requests_of(social, asked) == []  # unblocking brings nothing back


async def test_asking_again_after_the_block_is_over_arrives(social: Running) -> None:
    asker, asked = new_users(2)
    await block(social, asked, asker)
    await ask(social, asker, asked, "hidden")
    await unblock(social, asked, asker)
    await ask(social, asker, asked, "seen")
    (request,) = await requests_of(social, asked)
    assert request.message == "seen"
    assert (await verbs_of(social, pair_of(asker, asked)))[-1] == "friend.requested"
    assert [r.message for r in await requests_of(social, asker)] == ["seen"]


async def test_a_hidden_request_still_counts_when_the_blocker_comes_round(social: Running) -> None:
    asker, asked = new_users(2)
    await block(social, asked, asker)
    await ask(social, asker, asked)
    await unblock(social, asked, asker)
    await ask(social, asked, asker)
    assert await friends_of(social, asker) == [asked]


async def test_blocks_are_of_one_direction(social: Running) -> None:
    a, b = new_users(2)
    await block(social, a, b)
    await block(social, b, a)
    await unblock(social, a, b)
    await ask(social, a, b)  # b has blocked a still
    assert await requests_of(social, b) == []
    assert await refusal(ask(social, b, a)) == "BLOCKED"


async def test_a_block_hides_each_from_the_others_list_of_members_online(social: Running) -> None:
    a, b, c = new_users(3)
    group = await group_with(social, a, b, c)
    await block(social, a, b)
    for user, shown in ((a, [a, c]), (b, [b, c]), (c, [a, b, c])):
        request = groups_pb.ListMemberIdsRequest(group_id=group, visible=True)
        assert list((await act(user, social.groups.ListMemberIds, request)).user_ids) == shown


async def test_who_the_owner_blocks_disappears_from_the_groups_applications(social: Running) -> None:
    owner, applicant = new_users(2)
    group = await group_with(social, owner)
    await join(social, applicant, group)
    await block(social, owner, applicant)
    assert await applications(social, owner, group) == []
    assert [a.result for a in await applications(social, applicant)] == [pb.PENDING]
