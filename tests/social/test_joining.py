"""Joining: at once where no approval is asked for or after a real invitation, else by application."""

import asyncio
import re
import time

import pytest

from protos.social.v1 import friends_pb2
from protos.social.v1 import groups_pb2 as pb
from tests.support.plans import watching
from tests.support.social import (
    Running,
    act,
    applications,
    block,
    create_group,
    decide,
    events_of,
    execute,
    group_of,
    group_with,
    groups_of,
    invite,
    join,
    leave,
    new_user,
    new_users,
    refusal,
    remove,
    roles_in,
    set_role,
    transfer,
    unblock,
    verbs_of,
)

ACCEPTED, REFUSED = friends_pb2.ACCEPTED, friends_pb2.REFUSED


async def application_of(social: Running, manager: int, group: int, applicant: int) -> int:
    """The newest."""
    return [a.request_id for a in await applications(social, manager, group) if a.user_id == applicant][-1]


async def test_without_approval_one_joins_at_once(social: Running) -> None:
    owner, guest = new_users(2)
    group = await create_group(social, owner, approval=False)
    assert await join(social, guest, group)
    assert await join(social, guest, group)  # a member already
    assert await roles_in(social, guest, group) == {owner: pb.OWNER, guest: pb.MEMBER}
    found = await group_of(social, group)
    assert found and found.member_count == 2
    (_, (verb, data)) = await events_of(social, f"group:{group}")
    assert verb == "group.joined" and data["user_id"] == data["actor_id"] == str(guest)


async def test_joins_of_one_moment_are_locks_a_look_and_a_write(social: Running) -> None:
    owner, *guests = new_users(9)
    group = await create_group(social, owner, approval=False)
    with watching(social.service.database) as seen:
        joined = await asyncio.gather(*(join(social, guest, group) for guest in guests))
    assert all(joined) and len(await roles_in(social, owner, group)) == 9
    mine = [each for each in seen if re.search("pg_advisory_xact_lock\\(id|member", each.shape.text)]
    assert len(mine) <= 4 * 4 < 4 * len(guests)  # the first may be written before the others have come
    found = await group_of(social, group)
    assert found and found.member_count == 9


async def test_with_approval_one_applies(social: Running) -> None:
    owner, manager, guest = new_users(3)
    group = await group_with(social, owner, manager, managers=[manager])
    assert not await join(social, guest, group, message="学习rust")
    assert not await join(social, guest, group, message="again")
    for shown in (await applications(social, manager, group), await applications(social, guest)):
        (application,) = shown
        assert (application.group_id, application.user_id, application.message) == (group, guest, "学习rust")
        assert (application.result, application.handler_id, application.inviter_id) == (0, 0, 0)
        assert application.handled_at == application.requested_at and abs(application.requested_at - time.time()) < 5
    verb, data = (await events_of(social, f"group:{group}"))[-1]
    assert verb == "group.requested" and data["manager_ids"] == [str(owner), str(manager)]
    assert data["message"] == "学习rust" and data["group_name"] == "群" and data["user_id"] == str(guest)
    assert await groups_of(social, guest) == []


async def test_an_accepted_applicant_is_a_member(social: Running) -> None:
    owner, manager, guest = new_users(3)
    group = await group_with(social, owner, manager, managers=[manager])
    await join(social, guest, group)
    await decide(social, manager, group, await application_of(social, owner, group, guest), ACCEPTED)
    assert (await roles_in(social, guest, group))[guest] == pb.MEMBER
    (application,) = await applications(social, guest)
    assert (application.result, application.handler_id) == (ACCEPTED, manager)
    assert (await verbs_of(social, f"group:{group}"))[-2:] == ["group.joined", "group.handled"]


async def test_a_refused_applicant_may_apply_again(social: Running) -> None:
    owner, guest = new_users(2)
    group = await group_with(social, owner)
    await join(social, guest, group)
    await decide(social, owner, group, await application_of(social, owner, group, guest), REFUSED)
    assert await groups_of(social, guest) == []
    assert not await join(social, guest, group)
    assert [a.result for a in await applications(social, guest)] == [REFUSED, 0]
    assert [a.result for a in await applications(social, owner, group, 0)] == [0]
    assert [a.result for a in await applications(social, owner, group, REFUSED, ACCEPTED)] == [REFUSED]
    assert await refusal(applications(social, owner, group, 9)) == "RESULT_INVALID"


async def test_an_application_is_handled_once_and_only_in_its_group(social: Running) -> None:
    owner, guest = new_users(2)
    group, other = await group_with(social, owner), await group_with(social, owner)
    await join(social, guest, group)
    request_id = await application_of(social, owner, group, guest)
    for wrong in (0, -1, 2**63 - 1):
        assert await refusal(decide(social, owner, group, wrong, ACCEPTED)) == "REQUEST_NOT_FOUND"
        assert await refusal(decide(social, owner, wrong, request_id, ACCEPTED)) == "GROUP_NOT_FOUND"
    assert await refusal(decide(social, owner, other, request_id, ACCEPTED)) == "REQUEST_NOT_FOUND"
    for result in (0, 3):
        assert await refusal(decide(social, owner, group, request_id, result)) == "RESULT_INVALID"
    await decide(social, owner, group, request_id, REFUSED)
    for result in (ACCEPTED, REFUSED):
        assert await refusal(decide(social, owner, group, request_id, result)) == "REQUEST_HANDLED"


async def test_an_invited_user_joins_at_once(social: Running) -> None:
    owner, guest = new_users(2)
    group = await group_with(social, owner)
    await invite(social, owner, group, guest)
    await invite(social, owner, group, guest)
    assert await verbs_of(social, f"group:{group}") == ["group.created", "group.updated", "group.invited"]
    assert await join(social, guest, group, inviter_id=owner)
    members = await act(guest, social.groups.ListMembers, pb.ListMembersRequest(group_id=group, limit=9))
    assert {member.user_id: member.inviter_id for member in members.members} == {owner: 0, guest: owner}
    await invite(social, owner, group, guest)  # a member: nothing to do
    assert (await verbs_of(social, f"group:{group}"))[3:] == ["group.joined"]


async def test_an_invited_user_need_not_name_the_inviter(social: Running) -> None:
    owner, guest = new_users(2)
    group = await group_with(social, owner)
    await invite(social, owner, group, guest)
    assert await join(social, guest, group)


async def test_a_claim_to_be_invited_is_an_application(social: Running) -> None:
    owner, manager, guest = new_users(3)
    group = await group_with(social, owner, manager, managers=[manager])
    assert not await join(social, guest, group, inviter_id=owner)
    await invite(social, manager, group, guest)
    assert not await join(social, guest, group, inviter_id=owner)  # it was the manager
    (application,) = await applications(social, owner, group)
    assert application.inviter_id == owner
    assert await join(social, guest, group, inviter_id=manager)
    (settled,) = await applications(social, guest)
    assert settled.result == ACCEPTED


async def test_an_invitation_is_as_good_as_its_inviters_role(social: Running) -> None:
    owner, manager, guest = new_users(3)
    group = await group_with(social, owner, manager, managers=[manager])
    await invite(social, manager, group, guest)
    await set_role(social, owner, group, manager, pb.MEMBER)
    assert not await join(social, guest, group, inviter_id=manager)


async def test_an_invitation_is_used_up(social: Running) -> None:
    owner, guest = new_users(2)
    group = await group_with(social, owner)
    await invite(social, owner, group, guest)
    await join(social, guest, group, inviter_id=owner)
    await remove(social, owner, group, guest)
    assert not await join(social, guest, group, inviter_id=owner)


async def test_joining_settles_an_application(social: Running) -> None:
    owner, guest = new_users(2)
    group = await group_with(social, owner)
    await join(social, guest, group)
    await act(owner, social.groups.UpdateGroup, pb.UpdateGroupRequest(group_id=group, approval=False))
    assert await join(social, guest, group)
    assert [a.result for a in await applications(social, guest)] == [ACCEPTED]
    await leave(social, guest, group)
    assert await join(social, guest, group)


async def test_who_the_owner_blocked_applies_in_vain_and_does_not_notice(social: Running) -> None:
    owner, manager, guest = new_users(3)
    group = await group_with(social, owner, manager, managers=[manager])
    await block(social, owner, guest)
    await invite(social, manager, group, guest)
    for _ in range(2):
        assert not await join(social, guest, group, inviter_id=manager, message="m")
    (own,) = await applications(social, guest)
    assert (own.result, own.message) == (0, "m")
    assert await applications(social, owner, group) == [] == await applications(social, manager, group)
    for result in (ACCEPTED, REFUSED):
        assert await refusal(decide(social, manager, group, own.request_id, result)) == "REQUEST_NOT_FOUND"
    assert "group.requested" not in await verbs_of(social, f"group:{group}")


async def test_who_the_owner_blocked_does_not_join_an_open_group(social: Running) -> None:
    owner, guest = new_users(2)
    group = await create_group(social, owner, approval=False)
    await block(social, owner, guest)
    assert not await join(social, guest, group)
    await unblock(social, owner, guest)
    assert await join(social, guest, group)


async def test_a_hidden_application_appears_when_made_again_without_the_block(social: Running) -> None:
    owner, heir, guest = new_users(3)
    group = await group_with(social, owner, heir)
    await block(social, owner, guest)
    await join(social, guest, group, message="hidden")
    await transfer(social, owner, group, heir)  # whom the new owner did not block
    assert await applications(social, heir, group) == []
    await join(social, guest, group, message="seen")
    assert [a.message for a in await applications(social, heir, group)] == ["seen"]


async def test_inviting_one_who_blocked_the_inviter_does_nothing(social: Running) -> None:
    owner, guest = new_users(2)
    group = await group_with(social, owner)
    await block(social, guest, owner)
    await invite(social, owner, group, guest)
    assert not await join(social, guest, group, inviter_id=owner)
    assert "group.invited" not in await verbs_of(social, f"group:{group}")
    assert await execute(social, "SELECT FROM invitation WHERE user_id = :guest", guest=guest) == []


async def test_who_cannot_be_invited(social: Running) -> None:
    owner, guest = new_users(2)
    group = await group_with(social, owner)
    for bad in (0, -1):
        assert await refusal(invite(social, owner, group, bad)) == "USER_NOT_FOUND"
    await block(social, owner, guest)
    assert await refusal(invite(social, owner, group, guest)) == "BLOCKED"


@pytest.mark.parametrize("bad", [-1, 2**63 - 1])
async def test_a_group_that_is_none_cannot_be_joined(social: Running, bad: int) -> None:
    user = new_user()
    for call in (join(social, user, bad), invite(social, user, bad, user), applications(social, user, bad)):
        assert await refusal(call) == "GROUP_NOT_FOUND"
    assert await refusal(join(social, user, 0)) == "GROUP_NOT_FOUND"


async def test_a_message_that_cannot_be_kept_is_refused(social: Running) -> None:
    owner, guest = new_users(2)
    group = await group_with(social, owner)
    for message in ("x" * 501, "a\0"):
        assert await refusal(join(social, guest, group, message=message)) == "MESSAGE_INVALID"
    assert await refusal(join(social, guest, group, inviter_id=-(2**63))) == ""
