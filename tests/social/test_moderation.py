"""A group that moderators hide is gone for everybody and comes back with its members; a removed one is dismissed."""

import itertools

import pytest

from protos.social.v1 import groups_pb2 as pb
from services.kit.nats import Event
from services.social.groups import moderation
from tests.support.social import Running, act, group_with, new_users, refusal

_events = itertools.count(1_000)


async def decide(social: Running, verb: str, group_id: int, event_id: int = 0) -> None:
    """As the user service announces it."""
    data = {"kind": "group", "subject_id": str(group_id), "user_id": "1"}
    event = Event(event_id or next(_events), f"events.user.moderation.{verb}", "", "", data)
    async with social.service.database.transaction() as connection:
        await moderation.apply_event(connection, event)


async def seen_by(social: Running, user: int, group_id: int) -> tuple[bool, bool, bool]:
    """Whether the user finds the group by its id, among their groups, and may write to it."""
    found = await act(user, social.groups.BatchGetGroups, pb.BatchGetGroupsRequest(group_ids=[group_id]))
    mine = await act(user, social.groups.ListGroups, pb.ListGroupsRequest(limit=50))
    pair = pb.GroupUser(group_id=group_id, user_id=user)
    (check,) = (await social.groups.BatchCheckMembers(pb.BatchCheckMembersRequest(pairs=[pair]))).checks
    return bool(found.groups), group_id in [group.group_id for group in mine.groups], check.member


async def test_a_hidden_group_is_gone_and_comes_back_with_its_members(social: Running) -> None:
    owner, member, stranger = new_users(3)
    group = await group_with(social, owner, member)
    await decide(social, "hidden", group)
    for user in (owner, member):
        assert await seen_by(social, user, group) == (False, False, False)
    join = pb.JoinGroupRequest(group_id=group)
    assert await refusal(act(stranger, social.groups.JoinGroup, join)) == "GROUP_NOT_FOUND"
    change = pb.UpdateGroupRequest(group_id=group, name="x")
    assert await refusal(act(owner, social.groups.UpdateGroup, change)) == "GROUP_NOT_FOUND"
    await decide(social, "restored", group)
    for user in (owner, member):
        assert await seen_by(social, user, group) == (True, True, True)


@pytest.mark.parametrize("first", ["hidden", "restored"])
async def test_an_older_event_changes_nothing_and_a_removed_group_is_dismissed(social: Running, first: str) -> None:
    owner, member = new_users(2)
    group = await group_with(social, owner, member)
    await decide(social, "restored", group, 8)
    await decide(social, "hidden", group, 7)
    assert await seen_by(social, member, group) == (True, True, True)
    await decide(social, first, group, 9)
    await decide(social, "removed", group, 10)
    await decide(social, "restored", group, 11)
    assert await seen_by(social, member, group) == (False, False, False)
