"""The RPCs of protos/social/v1: each unpacks the request, calls one function in one transaction, packs the answer."""

import grpc.aio

from protos.social.v1 import friends_pb2 as pb
from protos.social.v1 import groups_pb2 as groups_pb
from protos.social.v1.friends_pb2_grpc import FriendsServicer, add_FriendsServicer_to_server
from protos.social.v1.groups_pb2_grpc import GroupsServicer, add_GroupsServicer_to_server
from services.kit.context import require_caller
from services.social import (
    blocks,
    friend_requests,
    friends,
    groups,
    join_requests,
    members,
    messages,
    settings,
    standings,
)
from services.social.service import Service

PROTOS = (pb.DESCRIPTOR, groups_pb.DESCRIPTOR)


def register(service: Service, server: grpc.aio.Server) -> None:
    add_FriendsServicer_to_server(Friends(service), server)
    add_GroupsServicer_to_server(Groups(service), server)


class Friends(FriendsServicer):
    def __init__(self, service: Service) -> None:
        self._database, self._settings = service.database, service.settings

    async def RequestFriend(self, request: pb.RequestFriendRequest, context: object) -> pb.RequestFriendResponse:
        asked = (request.user_id, request.message, request.requested_at)
        async with self._database.transaction() as connection:
            await friend_requests.request_friend(connection, self._settings, require_caller(), *asked)
        return pb.RequestFriendResponse()

    async def HandleFriendRequest(
        self, request: pb.HandleFriendRequestRequest, context: object
    ) -> pb.HandleFriendRequestResponse:
        handled = (request.request_id, request.result)
        async with self._database.transaction() as connection:
            await friend_requests.handle_request(connection, self._settings, require_caller(), *handled)
        return pb.HandleFriendRequestResponse()

    async def ListFriendRequests(
        self, request: pb.ListFriendRequestsRequest, context: object
    ) -> pb.ListFriendRequestsResponse:
        wanted = (request.direction, request.results, request.cursor, request.limit)
        async with self._database.transaction() as connection:
            rows, cursor = await friend_requests.list_requests(connection, require_caller(), *wanted)
        return pb.ListFriendRequestsResponse(requests=map(messages.friend_request, rows), next_cursor=cursor)

    async def AddFriend(self, request: pb.AddFriendRequest, context: object) -> pb.AddFriendResponse:
        async with self._database.transaction() as connection:
            await friend_requests.add_friend(connection, self._settings, require_caller(), request.user_id)
        return pb.AddFriendResponse()

    async def GetSettings(self, request: pb.GetSettingsRequest, context: object) -> pb.GetSettingsResponse:
        async with self._database.transaction() as connection:
            who_may_add = await settings.get_who_may_add(connection, require_caller())
        return pb.GetSettingsResponse(who_may_add=pb.WhoMayAdd.ValueType(who_may_add))

    async def SetSettings(self, request: pb.SetSettingsRequest, context: object) -> pb.SetSettingsResponse:
        async with self._database.transaction() as connection:
            await settings.set_who_may_add(connection, require_caller(), request.who_may_add)
        return pb.SetSettingsResponse()

    async def ListFriends(self, request: pb.ListFriendsRequest, context: object) -> pb.ListFriendsResponse:
        page = (request.cursor, request.limit, request.offset)
        async with self._database.transaction() as connection:
            rows, cursor = await friends.list_friends(connection, require_caller(), *page)
        return pb.ListFriendsResponse(friends=map(messages.friend, rows), next_cursor=cursor)

    async def ListFriendIds(self, request: pb.ListFriendIdsRequest, context: object) -> pb.ListFriendIdsResponse:
        async with self._database.transaction() as connection:
            user_ids = await friends.list_friend_ids(connection, require_caller(), request.agreed)
        return pb.ListFriendIdsResponse(user_ids=user_ids)

    async def DeleteFriend(self, request: pb.DeleteFriendRequest, context: object) -> pb.DeleteFriendResponse:
        async with self._database.transaction() as connection:
            await friends.delete_friend(connection, require_caller(), request.user_id)
        return pb.DeleteFriendResponse()

    async def SetRemark(self, request: pb.SetRemarkRequest, context: object) -> pb.SetRemarkResponse:
        async with self._database.transaction() as connection:
            await friends.set_remark(connection, require_caller(), request.user_id, request.remark)
        return pb.SetRemarkResponse()

    async def Block(self, request: pb.BlockRequest, context: object) -> pb.BlockResponse:
        async with self._database.transaction() as connection:
            await blocks.block(connection, require_caller(), request.user_id)
        return pb.BlockResponse()

    async def Unblock(self, request: pb.UnblockRequest, context: object) -> pb.UnblockResponse:
        async with self._database.transaction() as connection:
            await blocks.unblock(connection, require_caller(), request.user_id)
        return pb.UnblockResponse()

    async def ListBlocks(self, request: pb.ListBlocksRequest, context: object) -> pb.ListBlocksResponse:
        async with self._database.transaction() as connection:
            user_ids, cursor = await blocks.list_blocks(connection, require_caller(), request.cursor, request.limit)
        return pb.ListBlocksResponse(user_ids=user_ids, next_cursor=cursor)

    async def BatchGetRelations(
        self, request: pb.BatchGetRelationsRequest, context: object
    ) -> pb.BatchGetRelationsResponse:
        async with self._database.transaction() as connection:
            rows = await friends.get_relations(connection, require_caller(), request.user_ids)
        return pb.BatchGetRelationsResponse(relations=map(messages.relation, rows))

    async def ListStandings(self, request: pb.ListStandingsRequest, context: object) -> pb.ListStandingsResponse:
        async with self._database.transaction() as connection:
            as_of = await standings.last_event(connection)
            rows, cursor = await standings.list_standings(connection, request.cursor, request.limit)
        return pb.ListStandingsResponse(standings=map(messages.standing, rows), next_cursor=cursor, as_of=as_of)

    async def BatchCheckFriends(
        self, request: pb.BatchCheckFriendsRequest, context: object
    ) -> pb.BatchCheckFriendsResponse:
        pairs = [(pair.user_id, pair.peer_id) for pair in request.pairs]
        async with self._database.transaction() as connection:
            rows = await friends.check_friends(connection, pairs)
        return pb.BatchCheckFriendsResponse(checks=map(messages.friend_check, rows))


class Groups(GroupsServicer):
    def __init__(self, service: Service) -> None:
        self._database, self._settings = service.database, service.settings

    async def CreateGroup(self, request: groups_pb.CreateGroupRequest, context: object) -> groups_pb.Group:
        fields = {"name": request.name, "icon": request.icon, "description": request.description}
        async with self._database.transaction() as connection:
            row = await groups.create_group(connection, self._settings, require_caller(), request.approval, fields)
        return messages.group(row)

    async def BatchGetGroups(
        self, request: groups_pb.BatchGetGroupsRequest, context: object
    ) -> groups_pb.BatchGetGroupsResponse:
        async with self._database.transaction() as connection:
            rows = await groups.batch_get(connection, request.group_ids)
        return groups_pb.BatchGetGroupsResponse(groups=map(messages.group, rows))

    async def ListGroups(self, request: groups_pb.ListGroupsRequest, context: object) -> groups_pb.ListGroupsResponse:
        page = (request.cursor, request.limit, request.offset)
        async with self._database.transaction() as connection:
            rows, cursor = await groups.list_groups(connection, require_caller(), request.user_id, *page)
        return groups_pb.ListGroupsResponse(groups=map(messages.group, rows), next_cursor=cursor)

    async def SearchGroups(
        self, request: groups_pb.SearchGroupsRequest, context: object
    ) -> groups_pb.ListGroupsResponse:
        async with self._database.transaction() as connection:
            rows, cursor = await groups.search_groups(connection, request.prefix, request.cursor, request.limit)
        return groups_pb.ListGroupsResponse(groups=map(messages.group, rows), next_cursor=cursor)

    async def ListMembers(
        self, request: groups_pb.ListMembersRequest, context: object
    ) -> groups_pb.ListMembersResponse:
        page = (request.cursor, request.limit, request.offset)
        async with self._database.transaction() as connection:
            rows, cursor = await members.list_members(connection, require_caller(), request.group_id, *page)
        return groups_pb.ListMembersResponse(members=map(messages.member, rows), next_cursor=cursor)

    async def ListMemberIds(
        self, request: groups_pb.ListMemberIdsRequest, context: object
    ) -> groups_pb.ListMemberIdsResponse:
        asked = (request.group_id, request.visible)
        async with self._database.transaction() as connection:
            user_ids = await members.list_member_ids(connection, require_caller(), *asked)
        return groups_pb.ListMemberIdsResponse(user_ids=user_ids)

    async def JoinGroup(self, request: groups_pb.JoinGroupRequest, context: object) -> groups_pb.JoinGroupResponse:
        asked = {name: getattr(request, name) for name in ("message", "requested_at", "inviter_id")}
        async with self._database.transaction() as connection:
            joined = await join_requests.join_group(
                connection, self._settings, require_caller(), request.group_id, **asked
            )
        return groups_pb.JoinGroupResponse(joined=joined)

    async def HandleJoinRequest(
        self, request: groups_pb.HandleJoinRequestRequest, context: object
    ) -> groups_pb.HandleJoinRequestResponse:
        handled = (request.group_id, request.request_id, request.result)
        async with self._database.transaction() as connection:
            user_id = await join_requests.handle_request(connection, self._settings, require_caller(), *handled)
        return groups_pb.HandleJoinRequestResponse(user_id=user_id)

    async def ListJoinRequests(
        self, request: groups_pb.ListJoinRequestsRequest, context: object
    ) -> groups_pb.ListJoinRequestsResponse:
        wanted = (request.group_id, request.results, request.cursor, request.limit)
        async with self._database.transaction() as connection:
            rows, cursor = await join_requests.list_requests(connection, require_caller(), *wanted)
            asked = await groups.batch_get(connection, list({row.group_id for row in rows}))
        requests, to = map(messages.join_request, rows), map(messages.group, asked)
        return groups_pb.ListJoinRequestsResponse(requests=requests, next_cursor=cursor, groups=to)

    async def Invite(self, request: groups_pb.InviteRequest, context: object) -> groups_pb.InviteResponse:
        async with self._database.transaction() as connection:
            await join_requests.invite(connection, require_caller(), request.group_id, request.user_id)
        return groups_pb.InviteResponse()

    async def LeaveGroup(self, request: groups_pb.LeaveGroupRequest, context: object) -> groups_pb.LeaveGroupResponse:
        async with self._database.transaction() as connection:
            await members.leave_group(connection, require_caller(), request.group_id)
        return groups_pb.LeaveGroupResponse()

    async def RemoveMember(
        self, request: groups_pb.RemoveMemberRequest, context: object
    ) -> groups_pb.RemoveMemberResponse:
        async with self._database.transaction() as connection:
            await members.remove_member(connection, require_caller(), request.group_id, request.user_id)
        return groups_pb.RemoveMemberResponse()

    async def SetMemberRole(
        self, request: groups_pb.SetMemberRoleRequest, context: object
    ) -> groups_pb.SetMemberRoleResponse:
        async with self._database.transaction() as connection:
            await members.set_role(connection, require_caller(), request.group_id, request.user_id, request.role)
        return groups_pb.SetMemberRoleResponse()

    async def TransferGroup(
        self, request: groups_pb.TransferGroupRequest, context: object
    ) -> groups_pb.TransferGroupResponse:
        async with self._database.transaction() as connection:
            await members.transfer_group(connection, require_caller(), request.group_id, request.user_id)
        return groups_pb.TransferGroupResponse()

    async def DismissGroup(
        self, request: groups_pb.DismissGroupRequest, context: object
    ) -> groups_pb.DismissGroupResponse:
        async with self._database.transaction() as connection:
            await groups.dismiss_group(connection, require_caller(), request.group_id)
        return groups_pb.DismissGroupResponse()

    async def UpdateGroup(
        self, request: groups_pb.UpdateGroupRequest, context: object
    ) -> groups_pb.UpdateGroupResponse:
        changes = {field.name: value for field, value in request.ListFields() if field.name != "group_id"}
        async with self._database.transaction() as connection:
            await groups.update_group(connection, require_caller(), request.group_id, changes)
        return groups_pb.UpdateGroupResponse()

    async def BatchCheckMembers(
        self, request: groups_pb.BatchCheckMembersRequest, context: object
    ) -> groups_pb.BatchCheckMembersResponse:
        pairs = [(pair.group_id, pair.user_id) for pair in request.pairs]
        async with self._database.transaction() as connection:
            rows = await members.check_members(connection, pairs)
        return groups_pb.BatchCheckMembersResponse(checks=map(messages.member_check, rows))
