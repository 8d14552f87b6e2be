"""api/contact/*: groups, which the short-video document calls communities."""

from typing import Annotated

from msgspec import Meta, Struct

from gateway.api.shortvideo.contacts import CONTACT, Search, UserPage, user_page
from gateway.api.shortvideo.users import OURS
from gateway.api.shortvideo.views import Community, community
from gateway.chat.commands import recheck
from gateway.container import Call
from gateway.files.pictures import use_picture
from gateway.http.endpoint import endpoint
from gateway.http.envelopes import SHORT_VIDEO
from gateway.http.params import Id, Paging
from protos.social.v1 import groups_pb2 as pb
from services.kit.roles import is_admin


class ByCommunity(Struct):
    community_id: Id


class ListMembers(Paging):
    community_id: Id


class ListCommunities(Paging):
    """`user_id` or `owner_id`: an admin may list the groups of another user."""

    user_id: Id | None = None
    owner_id: Id | None = None


class CreateCommunity(Struct):
    """The document's `owner_id` and `owner_name` are not read: the caller becomes the owner."""

    name: str = ""
    icon: str = ""
    desc: str = ""


class UpdateCommunity(Struct):
    """Only given fields change; null counts as not given."""

    community_id: Id
    name: str | None = None
    icon: str | None = None
    desc: str | None = None
    approval: bool | None = None
    announcement: str | None = None


class OfMember(Struct):
    community_id: Id
    target_id: Id


class SetMemberRole(Struct):
    community_id: Id
    target_id: Id
    role: Annotated[int, Meta(ge=0, le=1, description="0 member, 1 manager")]


class CommunityPage(Struct):
    """`next_cursor` is empty on the last page."""

    groups: list[Community]
    next_cursor: str


async def community_page(call: Call, page: pb.ListGroupsResponse) -> CommunityPage:
    owners = await call.container.cards.load_many(group.owner_id for group in page.groups)
    return CommunityPage([community(group, owners.get(group.owner_id)) for group in page.groups], page.next_cursor)


async def _list(call: Call, params: ListCommunities) -> CommunityPage:
    # The service refuses the groups of another user to all but admins.
    asked = [id for id in (params.user_id, params.owner_id) if id not in (None, call.caller.user_id)]
    request = pb.ListGroupsRequest(
        user_id=asked[0] if asked else 0, cursor=params.cursor, limit=params.page_size, offset=params.offset
    )
    return await community_page(call, await call.container.groups.ListGroups(request))


@endpoint("GET", "/api/contact/get-group-list", family=SHORT_VIDEO, limit=CONTACT)
async def get_group_list(call: Call, params: ListCommunities) -> CommunityPage:
    """The groups of which the caller is a member, the oldest first."""
    return await _list(call, params)


@endpoint("POST", "/api/contact/load-community", family=SHORT_VIDEO, limit=CONTACT)
async def load_community(call: Call, params: ListCommunities) -> CommunityPage:
    """The same as get-group-list."""
    return await _list(call, params)


@endpoint("GET", "/api/contact/get-group-users", family=SHORT_VIDEO, limit=CONTACT)
async def get_group_users(call: Call, params: ListMembers) -> UserPage:
    """The members of a group: its owner, then the managers, then the others. For members only."""
    request = pb.ListMembersRequest(
        group_id=params.community_id,
        cursor=params.cursor,
        limit=params.page_size,
        offset=params.offset,
        with_last_login=not is_admin(call.caller.role),
    )
    page = await call.container.groups.ListMembers(request)
    shown = {member.user_id for member in page.members if member.shows_last_login} if request.with_last_login else None
    return await user_page(call, [member.user_id for member in page.members], page.next_cursor, shown)


@endpoint("POST", "/api/contact/create-community", family=SHORT_VIDEO, limit=CONTACT)
async def create_community(call: Call, params: CreateCommunity) -> None:
    """Create a group that anybody may join; the caller owns it."""
    await use_picture(call, params.icon)
    request = pb.CreateGroupRequest(name=params.name, icon=params.icon, description=params.desc, approval=False)
    await call.container.groups.CreateGroup(request)


@endpoint("POST", "/api/contact/join-community", family=SHORT_VIDEO, limit=CONTACT)
async def join_community(call: Call, params: ByCommunity) -> None:
    """Join a group, or apply if the group requires approval."""
    await call.container.groups.JoinGroup(pb.JoinGroupRequest(group_id=params.community_id))
    await recheck(call.container.chat, params.community_id, call.caller.user_id)


@endpoint("POST", "/api/contact/leave-community", family=SHORT_VIDEO, limit=OURS)
async def leave_community(call: Call, params: ByCommunity) -> None:
    """Leave a group; the owner has to transfer or dismiss it first."""
    await call.container.groups.LeaveGroup(pb.LeaveGroupRequest(group_id=params.community_id))
    await recheck(call.container.chat, params.community_id, call.caller.user_id)


@endpoint("POST", "/api/contact/remove-member", family=SHORT_VIDEO, limit=OURS)
async def remove_member(call: Call, params: OfMember) -> None:
    """Remove a user from a group: managers may remove members, the owner also managers."""
    await call.container.groups.RemoveMember(
        pb.RemoveMemberRequest(group_id=params.community_id, user_id=params.target_id)
    )
    await recheck(call.container.chat, params.community_id, params.target_id)


@endpoint("POST", "/api/contact/set-member-role", family=SHORT_VIDEO, limit=OURS)
async def set_member_role(call: Call, params: SetMemberRole) -> None:
    """Make a member a manager, or a manager a member again. For the owner only."""
    role = pb.MemberRole.ValueType(params.role)
    request = pb.SetMemberRoleRequest(group_id=params.community_id, user_id=params.target_id, role=role)
    await call.container.groups.SetMemberRole(request)


@endpoint("POST", "/api/contact/transfer-community", family=SHORT_VIDEO, limit=OURS)
async def transfer_community(call: Call, params: OfMember) -> None:
    """Make a member the owner; the former owner becomes a manager. For the owner only."""
    await call.container.groups.TransferGroup(
        pb.TransferGroupRequest(group_id=params.community_id, user_id=params.target_id)
    )


@endpoint("POST", "/api/contact/dismiss-community", family=SHORT_VIDEO, limit=OURS)
async def dismiss_community(call: Call, params: ByCommunity) -> None:
    """Dissolve a group. For the owner only."""
    await call.container.groups.DismissGroup(pb.DismissGroupRequest(group_id=params.community_id))
    await recheck(call.container.chat, params.community_id)


@endpoint("POST", "/api/contact/update-community", family=SHORT_VIDEO, limit=OURS)
async def update_community(call: Call, params: UpdateCommunity) -> None:
    """Change the given fields of a group. For the owner and managers only."""
    await use_picture(call, params.icon)
    request = pb.UpdateGroupRequest(
        group_id=params.community_id,
        name=params.name,
        icon=params.icon,
        description=params.desc,
        approval=params.approval,
        announcement=params.announcement,
    )
    await call.container.groups.UpdateGroup(request)


@endpoint("GET", "/api/contact/search-communities", family=SHORT_VIDEO, limit=OURS)
async def search_communities(call: Call, params: Search) -> CommunityPage:
    """Groups by their name: those that begin with the text, then those that have it inside, without accents or case."""
    request = pb.SearchGroupsRequest(prefix=params.query, cursor=params.cursor, limit=params.limit)
    return await community_page(call, await call.container.groups.SearchGroups(request))


endpoints = [
    get_group_list,
    load_community,
    get_group_users,
    create_community,
    join_community,
    leave_community,
    remove_member,
    set_member_role,
    transfer_community,
    dismiss_community,
    update_community,
    search_communities,
]
