"""Members: their order, their roles, and how they go."""

from protos.social.v1 import groups_pb2 as pb
from tests.support.social import (
    Running,
    act,
    create_group,
    dismiss,
    events_of,
    group_of,
    group_with,
    leave,
    new_user,
    new_users,
    refusal,
    remove,
    roles_in,
    set_role,
    transfer,
    verbs_of,
)


async def check(social: Running, *pairs: tuple[int, int]) -> list[tuple[bool, int]]:
    asked = [pb.GroupUser(group_id=group, user_id=user) for group, user in pairs]
    answer = await social.groups.BatchCheckMembers(pb.BatchCheckMembersRequest(pairs=asked))
    return [(check.member, check.role) for check in answer.checks]


async def count(social: Running, group_id: int) -> int:
    group = await group_of(social, group_id)
    assert group
    return group.member_count


async def test_the_owner_comes_first_then_managers_then_members(social: Running) -> None:
    first, manager, second, owner = new_users(4)
    group = await group_with(social, first, manager, second, owner)
    await transfer(social, first, group, owner)
    await set_role(social, owner, group, first, pb.MEMBER)
    await set_role(social, owner, group, second, pb.MANAGER)
    await set_role(social, owner, group, manager, pb.MANAGER)
    roles = await roles_in(social, first, group)
    assert list(roles.items()) == [(owner, 2), (manager, 1), (second, 1), (first, 0)]
    ids = await act(first, social.groups.ListMemberIds, pb.ListMemberIdsRequest(group_id=group))
    assert set(ids.user_ids) == set(roles)


async def test_leaving(social: Running) -> None:
    owner, member = new_users(2)
    group = await group_with(social, owner, member)
    await leave(social, member, group)
    assert await roles_in(social, owner, group) == {owner: 2} and await count(social, group) == 1
    assert await refusal(leave(social, member, group)) == "NOT_MEMBER"
    assert await refusal(leave(social, owner, group)) == "OWNER_MUST_STAY"
    assert (await verbs_of(social, f"group:{group}"))[-1] == "group.left"


async def test_one_removes_those_below_oneself(social: Running) -> None:
    owner, manager, other, member = new_users(4)
    group = await group_with(social, owner, manager, other, member, managers=[manager, other])
    for who, whom in ((manager, owner), (manager, other), (manager, manager), (owner, owner)):
        assert await refusal(remove(social, who, group, whom)) == "NOT_PERMITTED"
    await remove(social, manager, group, member)
    assert await refusal(remove(social, manager, group, member)) == "MEMBER_NOT_FOUND"
    await remove(social, owner, group, other)
    assert await roles_in(social, owner, group) == {owner: 2, manager: 1} and await count(social, group) == 2
    verb, data = (await events_of(social, f"group:{group}"))[-1]
    assert (verb, data["actor_id"], data["user_id"]) == ("group.removed", str(owner), str(other))


async def test_the_owner_makes_managers(social: Running) -> None:
    owner, member, stranger = new_users(3)
    group = await group_with(social, owner, member)
    for _ in range(2):
        await set_role(social, owner, group, member, pb.MANAGER)
    assert (await verbs_of(social, f"group:{group}")).count("group.role_changed") == 1
    for role in (pb.OWNER, 3, -1):
        assert await refusal(set_role(social, owner, group, member, role)) == "ROLE_INVALID"
    assert await refusal(set_role(social, owner, group, owner, pb.MEMBER)) == "NOT_PERMITTED"
    for bad in (stranger, 0, -1, 2**63 - 1):
        assert await refusal(set_role(social, owner, group, bad, pb.MANAGER)) == "MEMBER_NOT_FOUND"


async def test_a_group_goes_to_a_member_and_its_owner_stays_as_manager(social: Running) -> None:
    owner, heir, stranger = new_users(3)
    group = await group_with(social, owner, heir)
    for bad in (stranger, 0, -1):
        assert await refusal(transfer(social, owner, group, bad)) == "MEMBER_NOT_FOUND"
    await transfer(social, owner, group, owner)
    await transfer(social, owner, group, heir)
    assert await roles_in(social, owner, group) == {heir: 2, owner: 1}
    found = await group_of(social, group)
    assert found and found.owner_id == heir
    assert await refusal(transfer(social, owner, group, owner)) == "NOT_PERMITTED"
    assert (await verbs_of(social, f"group:{group}"))[-1] == "group.transferred"
    await leave(social, owner, group)
    await dismiss(social, heir, group)


async def test_checks_answer_each_in_order(social: Running) -> None:
    owner, manager, member, stranger = new_users(4)
    group = await group_with(social, owner, manager, member, managers=[manager])
    gone = await create_group(social, owner)
    await dismiss(social, owner, gone)
    pairs = [(group, stranger), (group, member), (gone, owner), (group, owner), (group, manager), (0, -1)]
    assert await check(social, *pairs) == [(False, 0), (True, 0), (False, 0), (True, 2), (True, 1), (False, 0)]
    assert await check(social) == []
    assert await refusal(check(social, *[(1, 1)] * 501)) == "BATCH_TOO_LARGE"


async def test_groups_that_are_none(social: Running) -> None:
    me = new_user()
    for bad in (0, -1, 2**63 - 1):
        for call in (
            roles_in(social, me, bad),
            act(me, social.groups.ListMemberIds, pb.ListMemberIdsRequest(group_id=bad)),
            leave(social, me, bad),
            remove(social, me, bad, me),
            set_role(social, me, bad, me, 1),
            transfer(social, me, bad, me),
            dismiss(social, me, bad),
        ):
            assert await refusal(call) == "GROUP_NOT_FOUND"
