"""api/contact/*: groups, which this family calls communities."""

from typing import Annotated

from msgspec import Meta, Struct

from gateway.api.shortvideo.contacts import CONTACT, Search, UserPage, user_page
from gateway.api.shortvideo.users import OURS
from gateway.api.shortvideo.views import Community, community
from gateway.chat.commands import recheck
from gateway.http.endpoint import Call, endpoint
from gateway.http.envelopes import SHORT_VIDEO
from gateway.http.params import Id, Paging
from protos.social.v1 import groups_pb2 as pb


class ByCommunity(Struct):
    community_id: Id


class ListMembers(Paging):
    community_id: Id


class ListCommunities(Paging):
    """`user_id` or `owner_id`: whose, if not the caller's own; for admins."""

    user_id: Id | None = None
    owner_id: Id | None = None


class CreateCommunity(Struct):
    """The document's `owner_id` and `owner_name` are known already."""

    name: str = ""
    icon: str = ""
    desc: str = ""


class UpdateCommunity(Struct):
    """Only given fields change; a null is not given."""

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


async def _community_page(call: Call, page: pb.ListGroupsResponse) -> CommunityPage:
    owners = await call.container.cards.load_many(group.owner_id for group in page.groups)
    return CommunityPage([community(group, owners.get(group.owner_id)) for group in page.groups], page.next_cursor)


async def _list(call: Call, params: ListCommunities) -> CommunityPage:
    # The service refuses another user's to all but admins.
    asked = [id for id in (params.user_id, params.owner_id) if id not in (None, call.caller.user_id)]
    request = pb.ListGroupsRequest(
        user_id=asked[0] if asked else 0, cursor=params.cursor, limit=params.page_size, offset=params.offset
    )
    return await _community_page(call, await call.container.groups.ListGroups(request))


@endpoint("GET", "/api/contact/get-group-list", family=SHORT_VIDEO, limit=CONTACT)
async def get_group_list(call: Call, params: ListCommunities) -> CommunityPage:
    """The groups that the caller belongs to, the oldest first."""
    return await _list(call, params)


@endpoint("POST", "/api/contact/load-community", family=SHORT_VIDEO, limit=CONTACT)
async def load_community(call: Call, params: ListCommunities) -> CommunityPage:
    """As get-group-list."""
    return await _list(call, params)


@endpoint("GET", "/api/contact/get-group-users", family=SHORT_VIDEO, limit=CONTACT)
async def get_group_users(call: Call, params: ListMembers) -> UserPage:
    """The members of a group, for its members: its owner, then managers, then the rest."""
    request = pb.ListMembersRequest(
        group_id=params.community_id, cursor=params.cursor, limit=params.page_size, offset=params.offset
    )
    page = await call.container.groups.ListMembers(request)
    return await user_page(call, (member.user_id for member in page.members), page.next_cursor)


@endpoint("POST", "/api/contact/create-community", family=SHORT_VIDEO, limit=CONTACT)
async def create_community(call: Call, params: CreateCommunity) -> None:
    """Found a group that anyone may join; the caller owns it."""
    request = pb.CreateGroupRequest(name=params.name, icon=params.icon, description=params.desc, approval=False)
    await call.container.groups.CreateGroup(request)


@endpoint("POST", "/api/contact/join-community", family=SHORT_VIDEO, limit=CONTACT)
async def join_community(call: Call, params: ByCommunity) -> None:
    """Join a group, or apply where it wants to be asked."""
    await call.container.groups.JoinGroup(pb.JoinGroupRequest(group_id=params.community_id))
    await recheck(call.container.chat, params.community_id, call.caller.user_id)


@endpoint("POST", "/api/contact/leave-community", family=SHORT_VIDEO, limit=OURS)
async def leave_community(call: Call, params: ByCommunity) -> None:
    """Leave a group; its owner has to transfer or dismiss it first."""
    await call.container.groups.LeaveGroup(pb.LeaveGroupRequest(group_id=params.community_id))
    await recheck(call.container.chat, params.community_id, call.caller.user_id)


@endpoint("POST", "/api/contact/remove-member", family=SHORT_VIDEO, limit=OURS)
async def remove_member(call: Call, params: OfMember) -> None:
    """Remove a member, as a manager; anyone else, as the owner."""
    await call.container.groups.RemoveMember(
        pb.RemoveMemberRequest(group_id=params.community_id, user_id=params.target_id)
    )
    await recheck(call.container.chat, params.community_id, params.target_id)


@endpoint("POST", "/api/contact/set-member-role", family=SHORT_VIDEO, limit=OURS)
async def set_member_role(call: Call, params: SetMemberRole) -> None:
    """Make someone a manager or a member again, as the owner."""
    role = pb.MemberRole.ValueType(params.role)
    request = pb.SetMemberRoleRequest(group_id=params.community_id, user_id=params.target_id, role=role)
    await call.container.groups.SetMemberRole(request)


@endpoint("POST", "/api/contact/transfer-community", family=SHORT_VIDEO, limit=OURS)
async def transfer_community(call: Call, params: OfMember) -> None:
    """Make a member the owner, as the owner, who stays as a manager."""
    await call.container.groups.TransferGroup(
        pb.TransferGroupRequest(group_id=params.community_id, user_id=params.target_id)
    )


@endpoint("POST", "/api/contact/dismiss-community", family=SHORT_VIDEO, limit=OURS)
async def dismiss_community(call: Call, params: ByCommunity) -> None:
    """End a group, as its owner."""
    await call.container.groups.DismissGroup(pb.DismissGroupRequest(group_id=params.community_id))
    await recheck(call.container.chat, params.community_id)


@endpoint("POST", "/api/contact/update-community", family=SHORT_VIDEO, limit=OURS)
async def update_community(call: Call, params: UpdateCommunity) -> None:
    """Change what is given of a group, as its owner or a manager."""
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
    """Groups by the beginning of their name."""
    request = pb.SearchGroupsRequest(prefix=params.query, cursor=params.cursor, limit=params.limit)
    return await _community_page(call, await call.container.groups.SearchGroups(request))


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
