"""The RPCs of protos/social/v1/groups.proto."""

from collections.abc import Sequence

from protos.social.v1 import groups_pb2 as pb
from protos.social.v1.groups_pb2_grpc import GroupsServicer
from services.kit.batcher import Batcher
from services.kit.context import require_caller
from services.kit.errors import HitokError
from services.kit.rpc.group_commit import group_commit
from services.kit.texts.word_filter import WordFilter
from services.social import messages
from services.social.errors import Overloaded
from services.social.groups import groups, join_requests, lists, members
from services.social.groups.joining import MAX_JOINS, Join, join_of, write_joins
from services.social.service import Service


class Groups(GroupsServicer):
    def __init__(self, service: Service) -> None:
        self._database, self._settings = service.database, service.settings
        self._words = WordFilter(service.settings.filtered_words)
        self._joins: Batcher[Join, bool] = group_commit(self._write_joins, Overloaded, MAX_JOINS)

    async def CreateGroup(self, request: pb.CreateGroupRequest, context: object) -> pb.Group:
        fields = {"name": request.name, "icon": request.icon, "description": request.description}
        self._words.check(name=request.name, description=request.description)
        async with self._database.transaction() as connection:
            row = await groups.create_group(connection, self._settings, require_caller(), request.approval, fields)
        return messages.group(row)

    async def BatchGetGroups(self, request: pb.BatchGetGroupsRequest, context: object) -> pb.BatchGetGroupsResponse:
        async with self._database.reading() as connection:
            rows = await groups.batch_get(connection, request.group_ids)
        return pb.BatchGetGroupsResponse(groups=map(messages.listed_group, rows))

    async def ListGroups(self, request: pb.ListGroupsRequest, context: object) -> pb.ListGroupsResponse:
        page = (request.cursor, request.limit, request.offset)
        async with self._database.reading() as connection:
            rows, cursor = await lists.list_groups(connection, require_caller(), request.user_id, *page)
        return pb.ListGroupsResponse(groups=map(messages.listed_group, rows), next_cursor=cursor)

    async def SearchGroups(self, request: pb.SearchGroupsRequest, context: object) -> pb.ListGroupsResponse:
        async with self._database.reading() as connection:
            rows, cursor = await groups.search_groups(connection, request.prefix, request.cursor, request.limit)
        return pb.ListGroupsResponse(groups=map(messages.listed_group, rows), next_cursor=cursor)

    async def ListMembers(self, request: pb.ListMembersRequest, context: object) -> pb.ListMembersResponse:
        page = (request.cursor, request.limit, request.offset, request.with_last_login)
        async with self._database.reading() as connection:
            rows, cursor = await lists.list_members(connection, require_caller(), request.group_id, *page)
        return pb.ListMembersResponse(members=map(messages.member, rows), next_cursor=cursor)

    async def ListMemberIds(self, request: pb.ListMemberIdsRequest, context: object) -> pb.ListMemberIdsResponse:
        asked = (request.group_id, request.visible, request.presence)
        async with self._database.reading() as connection:
            user_ids = await members.list_member_ids(connection, require_caller(), *asked)
        return pb.ListMemberIdsResponse(user_ids=user_ids)

    async def JoinGroup(self, request: pb.JoinGroupRequest, context: object) -> pb.JoinGroupResponse:
        asked = {name: getattr(request, name) for name in ("message", "requested_at", "inviter_id")}
        self._words.check(message=request.message)
        joined = await self._joins.submit(join_of(require_caller(), request.group_id, **asked))
        return pb.JoinGroupResponse(joined=joined)

    async def _write_joins(self, joins: list[Join]) -> Sequence[bool | HitokError]:
        async with self._database.transaction() as connection:
            return await write_joins(connection, self._settings, joins)

    async def HandleJoinRequest(
        self, request: pb.HandleJoinRequestRequest, context: object
    ) -> pb.HandleJoinRequestResponse:
        handled = (request.group_id, request.request_id, request.result)
        async with self._database.transaction() as connection:
            user_id = await join_requests.handle_request(connection, self._settings, require_caller(), *handled)
        return pb.HandleJoinRequestResponse(user_id=user_id)

    async def ListJoinRequests(
        self, request: pb.ListJoinRequestsRequest, context: object
    ) -> pb.ListJoinRequestsResponse:
        wanted = (request.group_id, request.results, request.cursor, request.limit)
        async with self._database.reading() as connection:
            rows, cursor = await join_requests.list_requests(connection, require_caller(), *wanted)
            asked = await groups.batch_get(connection, list({row.group_id for row in rows}))
        requests, to = map(messages.join_request, rows), map(messages.listed_group, asked)
        return pb.ListJoinRequestsResponse(requests=requests, next_cursor=cursor, groups=to)

    async def Invite(self, request: pb.InviteRequest, context: object) -> pb.InviteResponse:
        async with self._database.transaction() as connection:
            await join_requests.invite(connection, require_caller(), request.group_id, request.user_id)
        return pb.InviteResponse()

    async def LeaveGroup(self, request: pb.LeaveGroupRequest, context: object) -> pb.LeaveGroupResponse:
        async with self._database.transaction() as connection:
            await members.leave_group(connection, require_caller(), request.group_id)
        return pb.LeaveGroupResponse()

    async def RemoveMember(self, request: pb.RemoveMemberRequest, context: object) -> pb.RemoveMemberResponse:
        async with self._database.transaction() as connection:
            await members.remove_member(connection, require_caller(), request.group_id, request.user_id)
        return pb.RemoveMemberResponse()

    async def SetMemberRole(self, request: pb.SetMemberRoleRequest, context: object) -> pb.SetMemberRoleResponse:
        async with self._database.transaction() as connection:
            await members.set_role(connection, require_caller(), request.group_id, request.user_id, request.role)
        return pb.SetMemberRoleResponse()

    async def TransferGroup(self, request: pb.TransferGroupRequest, context: object) -> pb.TransferGroupResponse:
        async with self._database.transaction() as connection:
            await members.transfer_group(connection, require_caller(), request.group_id, request.user_id)
        return pb.TransferGroupResponse()

    async def DismissGroup(self, request: pb.DismissGroupRequest, context: object) -> pb.DismissGroupResponse:
        async with self._database.transaction() as connection:
            await groups.dismiss_group(connection, require_caller(), request.group_id)
        return pb.DismissGroupResponse()

    async def UpdateGroup(self, request: pb.UpdateGroupRequest, context: object) -> pb.UpdateGroupResponse:
        changes = {field.name: value for field, value in request.ListFields() if field.name != "group_id"}
        self._words.check(**{name: text for name, text in changes.items() if isinstance(text, str)})
        async with self._database.transaction() as connection:
            await groups.update_group(connection, require_caller(), request.group_id, changes)
        return pb.UpdateGroupResponse()

    async def BatchCheckMembers(
        self, request: pb.BatchCheckMembersRequest, context: object
    ) -> pb.BatchCheckMembersResponse:
        pairs = [(pair.group_id, pair.user_id) for pair in request.pairs]
        async with self._database.reading() as connection:
            rows = await members.check_members(connection, pairs)
        return pb.BatchCheckMembersResponse(checks=map(messages.member_check, rows))
