"""v1/social/group*: groups, their members, and join requests."""

from collections.abc import Sequence
from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType, field

from gateway.api.hichat import views
from gateway.api.hichat.friends import ONLINE, WRITES, Class, Handling, Online, Result, list_online
from gateway.api.hichat.users import READS
from gateway.chat.commands import recheck
from gateway.container import Call
from gateway.files.pictures import use_picture
from gateway.http.endpoint import endpoint
from gateway.http.envelopes import CHAT_SOCIAL
from gateway.http.errors import ParameterMissing
from gateway.http.params import Id, LongPageSize, OptionalId, Seconds
from protos.social.v1 import groups_pb2 as pb
from protos.social.v1.friends_pb2 import Result as ResultValue

MINE, OF_GROUP = 1, 2  # values of `class` in ListJoinRequests


class CreateGroup(Struct):
    name: str = ""
    icon: str = ""


class ListGroups(Struct):
    cursor: str = ""
    limit: LongPageSize = 100


class JoinGroup(Struct):
    """`join_source` 1: the caller applies; 2: `inviter_uid` has invited them."""

    group_id: Id
    req_msg: str = ""
    req_time: Seconds = 0
    join_source: Annotated[int, Meta(ge=1, le=2)] = views.APPLIED
    inviter_uid: OptionalId = 0


class HandleJoinRequest(Struct):
    group_req_id: Id
    group_id: Id
    handle_result: Handling


class ListJoinRequests(Struct):
    """`class` 1: the caller's own requests to any group; 2: requests to `group_id`. `type`: results; empty: all."""

    group_id: OptionalId = 0
    type: list[Result] = []
    kind: Class = field(default=0, name="class")
    cursor: str = ""
    limit: LongPageSize = 100


class ByGroup(Struct):
    group_id: Id


class ListMembers(Struct):
    group_id: Id
    cursor: str = ""
    limit: LongPageSize = 100


class Invite(Struct):
    group_id: Id
    user_uid: Id


class GroupPage(Struct):
    groups: list[views.GroupView] = field(name="list")
    next_cursor: str | UnsetType = UNSET


class Joining(Struct):
    group_id: int


class JoinRequestPage(Struct):
    requests: list[views.JoinRequest] = field(name="list")
    next_cursor: str | UnsetType = UNSET


class MemberPage(Struct):
    members: list[views.Member] = field(name="List")
    next_cursor: str | UnsetType = UNSET


@endpoint("POST", "/v1/social/group", family=CHAT_SOCIAL, limit=WRITES)
async def create_group(call: Call, params: CreateGroup) -> None:
    """Create a group that is joined by approval; the caller owns it."""
    await use_picture(call, params.icon)
    await call.container.groups.CreateGroup(pb.CreateGroupRequest(name=params.name, icon=params.icon, approval=True))


@endpoint("GET", "/v1/socail/groups", "/v1/social/groups", family=CHAT_SOCIAL, limit=READS)
async def list_groups(call: Call, params: ListGroups) -> GroupPage:
    """The groups of which the caller is a member, the oldest first."""
    page = await call.container.groups.ListGroups(pb.ListGroupsRequest(cursor=params.cursor, limit=params.limit))
    return GroupPage(list(map(views.group_view, page.groups)), page.next_cursor or UNSET)


@endpoint("POST", "/v1/social/group/putIn", family=CHAT_SOCIAL, limit=WRITES)
async def join_group(call: Call, params: JoinGroup) -> Joining:
    """Join a group that needs no approval or to which the owner or a manager invited the caller; else apply."""
    inviter_id = params.inviter_uid if params.join_source == views.INVITED else 0
    if inviter_id:
        await call.container.require_user(inviter_id)
    request = pb.JoinGroupRequest(
        group_id=params.group_id, message=params.req_msg, requested_at=params.req_time, inviter_id=inviter_id
    )
    await call.container.groups.JoinGroup(request)
    await recheck(call.container.chat, params.group_id, call.caller.user_id)
    return Joining(params.group_id)


@endpoint("PUT", "/v1/social/group/putIn", family=CHAT_SOCIAL, limit=WRITES)
async def handle_join_request(call: Call, params: HandleJoinRequest) -> None:
    """Accept or refuse a join request; final. For the group's owner and managers only."""
    request = pb.HandleJoinRequestRequest(
        group_id=params.group_id,
        request_id=params.group_req_id,
        result=ResultValue.ValueType(params.handle_result),
    )
    applied = await call.container.groups.HandleJoinRequest(request)
    await recheck(call.container.chat, params.group_id, applied.user_id)


@endpoint("GET", "/v1/social/group/putIns", family=CHAT_SOCIAL, limit=READS)
async def list_join_requests(call: Call, params: ListJoinRequests) -> JoinRequestPage:
    """Join requests, the oldest first: the caller's own, or those to a group for its owner and managers."""
    if params.kind == OF_GROUP and not params.group_id:
        raise ParameterMissing(field="group_id")
    request = pb.ListJoinRequestsRequest(
        group_id=0 if params.kind == MINE else params.group_id,
        results=map(ResultValue.ValueType, params.type),
        cursor=params.cursor,
        limit=params.limit,
    )
    page = await call.container.groups.ListJoinRequests(request)
    groups = {group.group_id: group for group in page.groups}
    cards = await call.container.cards.load_many(request.user_id for request in page.requests)
    requests = [
        views.join_request(request, groups.get(request.group_id), cards.get(request.user_id))
        for request in page.requests
    ]
    return JoinRequestPage(requests, page.next_cursor or UNSET)


@endpoint("GET", "/v/social/group/users", "/v1/social/group/users", family=CHAT_SOCIAL, limit=READS)
async def list_members(call: Call, params: ListMembers) -> MemberPage:
    """The members of a group: its owner, then the managers, then the others. For members only."""
    request = pb.ListMembersRequest(group_id=params.group_id, cursor=params.cursor, limit=params.limit)
    page = await call.container.groups.ListMembers(request)
    cards = await call.container.cards.load_many(member.user_id for member in page.members)
    members = [views.member(member, cards.get(member.user_id), call.caller.user_id) for member in page.members]
    return MemberPage(members, page.next_cursor or UNSET)


@endpoint("POST", "/v1/social/group/invite", family=CHAT_SOCIAL, limit=WRITES)
async def invite(call: Call, params: Invite) -> None:
    """Let a user join without approval. For the group's owner and managers only."""
    await call.container.require_user(params.user_uid)
    await call.container.groups.Invite(pb.InviteRequest(group_id=params.group_id, user_id=params.user_uid))


@endpoint("GET", "/v1/social/group/users/online", family=CHAT_SOCIAL, limit=ONLINE)
async def list_online_members(call: Call, params: ByGroup) -> Online:
    """The members of a group who are online and show it; up to a second old. For members only."""

    async def read_ids() -> Sequence[int]:
        request = pb.ListMemberIdsRequest(group_id=params.group_id, visible=True, presence=True)
        return (await call.container.groups.ListMemberIds(request)).user_ids

    return await list_online(call, params.group_id, read_ids)


endpoints = [
    create_group,
    list_groups,
    join_group,
    handle_join_request,
    list_join_requests,
    list_members,
    invite,
    list_online_members,
]
