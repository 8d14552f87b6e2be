"""The RPCs of protos/social/v1/friends.proto."""

from collections.abc import Sequence

from protos.social.v1 import friends_pb2 as pb
from protos.social.v1.friends_pb2_grpc import FriendsServicer
from services.kit.batcher import Batcher
from services.kit.context import require_caller
from services.kit.errors import HitokError, Overloaded
from services.kit.rpc.group_commit import group_commit
from services.kit.texts.word_filter import WordFilter
from services.social import messages
from services.social.friends import blocks, friend_requests, friends, settings, standings
from services.social.friends.asking import MAX_ASKS, Ask, ask_of, write_asks
from services.social.service import Service


class Friends(FriendsServicer):
    def __init__(self, service: Service) -> None:
        self._database, self._settings = service.database, service.settings
        self._words = WordFilter(service.settings.filtered_words)
        self._asks: Batcher[Ask, None] = group_commit(self._write_asks, Overloaded, MAX_ASKS)

    async def _write_asks(self, asks: list[Ask]) -> Sequence[HitokError | None]:
        async with self._database.transaction() as connection:
            return await write_asks(connection, self._settings, asks)

    async def RequestFriend(self, request: pb.RequestFriendRequest, context: object) -> pb.RequestFriendResponse:
        self._words.check(message=request.message)
        asked = (require_caller(), request.user_id)
        await self._asks.submit(ask_of(*asked, message=request.message, requested_at=request.requested_at))
        return pb.RequestFriendResponse()

    async def HandleFriendRequest(
        self, request: pb.HandleFriendRequestRequest, context: object
    ) -> pb.HandleFriendRequestResponse:
        handled = (request.request_id, request.result)
        async with self._database.transaction() as connection:
            user_id = await friend_requests.handle_request(connection, self._settings, require_caller(), *handled)
        return pb.HandleFriendRequestResponse(user_id=user_id)

    async def ListFriendRequests(
        self, request: pb.ListFriendRequestsRequest, context: object
    ) -> pb.ListFriendRequestsResponse:
        wanted = (request.direction, request.results, request.cursor, request.limit)
        async with self._database.reading() as connection:
            rows, cursor = await friend_requests.list_requests(connection, require_caller(), *wanted)
        return pb.ListFriendRequestsResponse(requests=map(messages.friend_request, rows), next_cursor=cursor)

    async def AddFriend(self, request: pb.AddFriendRequest, context: object) -> pb.AddFriendResponse:
        await self._asks.submit(ask_of(require_caller(), request.user_id, adds=True))
        return pb.AddFriendResponse()

    async def GetSettings(self, request: pb.GetSettingsRequest, context: object) -> pb.GetSettingsResponse:
        async with self._database.reading() as connection:
            found = await settings.get_settings(connection, require_caller())
        return messages.contact_settings(found)

    async def SetSettings(self, request: pb.SetSettingsRequest, context: object) -> pb.SetSettingsResponse:
        async with self._database.transaction() as connection:
            await settings.set_settings(connection, require_caller(), {"who_may_add": request.who_may_add})
        return pb.SetSettingsResponse()

    async def SetPrivacy(self, request: pb.SetPrivacyRequest, context: object) -> pb.SetPrivacyResponse:
        changes = {field.name: value for field, value in request.ListFields()}
        async with self._database.transaction() as connection:
            await settings.set_settings(connection, require_caller(), changes)
        return pb.SetPrivacyResponse()

    async def ListFriends(self, request: pb.ListFriendsRequest, context: object) -> pb.ListFriendsResponse:
        page = (request.cursor, request.limit, request.offset)
        async with self._database.reading() as connection:
            rows, cursor = await friends.list_friends(connection, require_caller(), *page)
        return pb.ListFriendsResponse(friends=map(messages.friend, rows), next_cursor=cursor)

    async def ListFriendIds(self, request: pb.ListFriendIdsRequest, context: object) -> pb.ListFriendIdsResponse:
        async with self._database.reading() as connection:
            user_ids = await friends.list_friend_ids(connection, require_caller(), request.agreed, request.presence)
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
        async with self._database.reading() as connection:
            user_ids, cursor = await blocks.list_blocks(connection, require_caller(), request.cursor, request.limit)
        return pb.ListBlocksResponse(user_ids=user_ids, next_cursor=cursor)

    async def BatchGetRelations(
        self, request: pb.BatchGetRelationsRequest, context: object
    ) -> pb.BatchGetRelationsResponse:
        async with self._database.reading() as connection:
            rows = await friends.get_relations(connection, require_caller(), request.user_ids)
        return pb.BatchGetRelationsResponse(relations=map(messages.relation, rows))

    async def ListStandings(self, request: pb.ListStandingsRequest, context: object) -> pb.ListStandingsResponse:
        async with self._database.reading() as connection:
            as_of = await standings.last_event(connection)
            rows, cursor = await standings.list_standings(connection, request.cursor, request.limit)
        return pb.ListStandingsResponse(standings=map(messages.standing, rows), next_cursor=cursor, as_of=as_of)

    async def BatchCheckFriends(
        self, request: pb.BatchCheckFriendsRequest, context: object
    ) -> pb.BatchCheckFriendsResponse:
        pairs = [(pair.user_id, pair.peer_id) for pair in request.pairs]
        async with self._database.reading() as connection:
            rows = await friends.check_friends(connection, pairs)
        return pb.BatchCheckFriendsResponse(checks=map(messages.friend_check, rows))
