"""Who may do what: each RPC, tried by everyone."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from google.protobuf.descriptor_pb2 import MethodOptions

from protos.social.v1 import friends_pb2 as f
from protos.social.v1 import groups_pb2 as g
from tests.support.social import (
    Running,
    act,
    add,
    applications,
    ask,
    block,
    group_with,
    join,
    new_users,
    refusal,
    request_between,
)

ROLES = ("stranger", "friend", "member", "manager", "owner", "blocked", "anonymous")


@dataclass(frozen=True)
class World:
    """`target` is friends with `friend`, has blocked `blocked`, is in `group` and was asked by `asker`;
    `owner` blocked `blocked` too."""

    target: int
    asker: int
    applicant: int
    group: int
    request: int
    application: int
    people: dict[str, int]


async def make_world(social: Running) -> World:
    target, asker, applicant, *others = new_users(3 + len(ROLES))
    people = dict(zip(ROLES, others, strict=True)) | {"anonymous": 0}
    owner, manager = people["owner"], people["manager"]
    await add(social, target, people["friend"])
    await add(social, people["friend"], target)
    await ask(social, asker, target)
    group = await group_with(social, owner, manager, people["member"], target, managers=[manager])
    await join(social, applicant, group)
    for blocker in (target, owner):
        await block(social, blocker, people["blocked"])
    application = (await applications(social, owner, group))[0].request_id
    request = await request_between(social, asker, target)
    return World(target, asker, applicant, group, request, application, people)


Call = Callable[[Running, World], tuple[Any, Any]]


def by(*roles: str, reason: str, others: str = "", anonymous: str = "CALLER_MISSING") -> dict[str, str]:
    """`reason` for those roles, `others` for the rest."""
    return {role: reason if role in roles else others for role in ROLES} | {"anonymous": anonymous}


EVERYONE = by(reason="")
PUBLIC = by(reason="", anonymous="")  # what services ask for themselves
OUTSIDE = ("stranger", "friend", "blocked")
MEMBERS = by(*OUTSIDE, reason="NOT_MEMBER")
MANAGERS = MEMBERS | {"member": "NOT_PERMITTED"}
OWNER = MANAGERS | {"manager": "NOT_PERMITTED"}

RPCS: dict[str, tuple[Call, dict[str, str]]] = {
    # Friends. To be blocked looks like waiting.
    "RequestFriend": (
        lambda s, w: (s.friends.RequestFriend, f.RequestFriendRequest(user_id=w.target)),
        by("friend", reason="ALREADY_FRIENDS"),
    ),
    "AddFriend": (
        lambda s, w: (s.friends.AddFriend, f.AddFriendRequest(user_id=w.target)),
        by("friend", reason="ALREADY_FRIENDS"),
    ),
    "GetSettings": (lambda s, w: (s.friends.GetSettings, f.GetSettingsRequest()), EVERYONE),
    "SetSettings": (lambda s, w: (s.friends.SetSettings, f.SetSettingsRequest()), EVERYONE),
    "SetPrivacy": (lambda s, w: (s.friends.SetPrivacy, f.SetPrivacyRequest()), EVERYONE),
    "HandleFriendRequest": (
        lambda s, w: (
            s.friends.HandleFriendRequest,
            f.HandleFriendRequestRequest(request_id=w.request, result=f.ACCEPTED),
        ),
        by(*ROLES, reason="REQUEST_NOT_FOUND"),
    ),
    "ListFriendRequests": (lambda s, w: (s.friends.ListFriendRequests, f.ListFriendRequestsRequest()), EVERYONE),
    "ListFriends": (lambda s, w: (s.friends.ListFriends, f.ListFriendsRequest()), EVERYONE),
    "ListFriendIds": (lambda s, w: (s.friends.ListFriendIds, f.ListFriendIdsRequest()), EVERYONE),
    "DeleteFriend": (lambda s, w: (s.friends.DeleteFriend, f.DeleteFriendRequest(user_id=w.target)), EVERYONE),
    "SetRemark": (
        lambda s, w: (s.friends.SetRemark, f.SetRemarkRequest(user_id=w.target, remark="r")),
        by("friend", reason="", others="FRIEND_NOT_FOUND"),
    ),
    "Block": (lambda s, w: (s.friends.Block, f.BlockRequest(user_id=w.target)), EVERYONE),
    "Unblock": (lambda s, w: (s.friends.Unblock, f.UnblockRequest(user_id=w.target)), EVERYONE),
    "ListBlocks": (lambda s, w: (s.friends.ListBlocks, f.ListBlocksRequest()), EVERYONE),
    "BatchGetRelations": (
        lambda s, w: (s.friends.BatchGetRelations, f.BatchGetRelationsRequest(user_ids=[w.target])),
        EVERYONE,
    ),
    "ListStandings": (lambda s, w: (s.friends.ListStandings, f.ListStandingsRequest()), PUBLIC),
    "BatchCheckFriends": (
        lambda s, w: (s.friends.BatchCheckFriends, f.BatchCheckFriendsRequest(pairs=[f.UserPair(user_id=w.target)])),
        PUBLIC,
    ),
    # Groups.
    "CreateGroup": (lambda s, w: (s.groups.CreateGroup, g.CreateGroupRequest(name="g")), EVERYONE),
    "BatchGetGroups": (lambda s, w: (s.groups.BatchGetGroups, g.BatchGetGroupsRequest(group_ids=[w.group])), PUBLIC),
    "SearchGroups": (lambda s, w: (s.groups.SearchGroups, g.SearchGroupsRequest(prefix="群")), PUBLIC),
    "ListGroups": (lambda s, w: (s.groups.ListGroups, g.ListGroupsRequest()), EVERYONE),
    "ListGroups of another": (
        lambda s, w: (s.groups.ListGroups, g.ListGroupsRequest(user_id=w.target)),
        by(*ROLES, reason="NOT_PERMITTED"),
    ),
    "ListMembers": (lambda s, w: (s.groups.ListMembers, g.ListMembersRequest(group_id=w.group)), MEMBERS),
    "ListMemberIds": (lambda s, w: (s.groups.ListMemberIds, g.ListMemberIdsRequest(group_id=w.group)), MEMBERS),
    "JoinGroup": (lambda s, w: (s.groups.JoinGroup, g.JoinGroupRequest(group_id=w.group)), EVERYONE),
    "HandleJoinRequest": (
        lambda s, w: (
            s.groups.HandleJoinRequest,
            g.HandleJoinRequestRequest(group_id=w.group, request_id=w.application, result=f.ACCEPTED),
        ),
        MANAGERS,
    ),
    "ListJoinRequests": (
        lambda s, w: (s.groups.ListJoinRequests, g.ListJoinRequestsRequest(group_id=w.group)),
        MANAGERS,
    ),
    "ListJoinRequests of one's own": (lambda s, w: (s.groups.ListJoinRequests, g.ListJoinRequestsRequest()), EVERYONE),
    "Invite": (lambda s, w: (s.groups.Invite, g.InviteRequest(group_id=w.group, user_id=w.asker)), MANAGERS),
    "LeaveGroup": (
        lambda s, w: (s.groups.LeaveGroup, g.LeaveGroupRequest(group_id=w.group)),
        MEMBERS | {"owner": "OWNER_MUST_STAY"},
    ),
    "RemoveMember": (
        lambda s, w: (s.groups.RemoveMember, g.RemoveMemberRequest(group_id=w.group, user_id=w.target)),
        MANAGERS,
    ),
    "RemoveMember, the manager": (
        lambda s, w: (
            s.groups.RemoveMember,
            g.RemoveMemberRequest(group_id=w.group, user_id=w.people["manager"]),
        ),
        OWNER,
    ),
    "RemoveMember, the owner": (
        lambda s, w: (s.groups.RemoveMember, g.RemoveMemberRequest(group_id=w.group, user_id=w.people["owner"])),
        OWNER | {"owner": "NOT_PERMITTED"},
    ),
    "SetMemberRole": (
        lambda s, w: (
            s.groups.SetMemberRole,
            g.SetMemberRoleRequest(group_id=w.group, user_id=w.target, role=g.MANAGER),
        ),
        OWNER,
    ),
    "TransferGroup": (
        lambda s, w: (s.groups.TransferGroup, g.TransferGroupRequest(group_id=w.group, user_id=w.target)),
        OWNER,
    ),
    "DismissGroup": (lambda s, w: (s.groups.DismissGroup, g.DismissGroupRequest(group_id=w.group)), OWNER),
    "UpdateGroup": (
        lambda s, w: (s.groups.UpdateGroup, g.UpdateGroupRequest(group_id=w.group, name="新")),
        MANAGERS,
    ),
    "BatchCheckMembers": (
        lambda s, w: (s.groups.BatchCheckMembers, g.BatchCheckMembersRequest(pairs=[g.GroupUser(group_id=w.group)])),
        PUBLIC,
    ),
}


METHODS = {
    method.name: method
    for proto in (f.DESCRIPTOR, g.DESCRIPTOR)
    for service in proto.services_by_name.values()
    for method in service.methods
}
# What one does in the group may make a difference to the next who tries.
MATTERS = {
    name
    for name, method in METHODS.items()
    if method.containing_service.name == "Groups"
    and method.GetOptions().idempotency_level != MethodOptions.NO_SIDE_EFFECTS
}


def method_of(rpc: str) -> str:
    return rpc.partition(" ")[0].rstrip(",")


@pytest.mark.parametrize("rpc", RPCS)
async def test_everyone_gets_what_is_theirs(social: Running, rpc: str) -> None:
    call, expected = RPCS[rpc]
    world, found = await make_world(social), {}
    for role in ROLES:
        method, request = call(social, world)
        found[role] = await refusal(act(world.people[role], method, request))
        if not found[role] and method_of(rpc) in MATTERS:
            world = await make_world(social)
    assert found == expected


def test_no_rpc_is_left_out() -> None:
    assert {method_of(rpc) for rpc in RPCS} == METHODS.keys()
