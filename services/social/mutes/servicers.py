"""The RPCs of protos/social/v1/mutes.proto."""

from protos.social.v1 import mutes_pb2 as pb
from protos.social.v1.mutes_pb2_grpc import MutesServicer
from services.kit.context import require_caller
from services.social.mutes import mutes
from services.social.service import Service


class Mutes(MutesServicer):
    def __init__(self, service: Service) -> None:
        self._database = service.database

    async def MuteUser(self, request: pb.MuteUserRequest, context: object) -> pb.MuteUserResponse:
        async with self._database.transaction() as connection:
            await mutes.mute_user(connection, require_caller(), request.user_id)
        return pb.MuteUserResponse()

    async def UnmuteUser(self, request: pb.UnmuteUserRequest, context: object) -> pb.UnmuteUserResponse:
        async with self._database.transaction() as connection:
            await mutes.unmute_user(connection, require_caller(), request.user_id)
        return pb.UnmuteUserResponse()

    async def ListMutedUsers(self, request: pb.ListMutedUsersRequest, context: object) -> pb.ListMutedUsersResponse:
        async with self._database.reading() as connection:
            user_ids, cursor = await mutes.list_users(connection, require_caller(), request.cursor, request.limit)
        return pb.ListMutedUsersResponse(user_ids=user_ids, next_cursor=cursor)

    async def MuteWord(self, request: pb.MuteWordRequest, context: object) -> pb.MuteWordResponse:
        async with self._database.transaction() as connection:
            await mutes.mute_word(connection, require_caller(), request.word)
        return pb.MuteWordResponse()

    async def UnmuteWord(self, request: pb.UnmuteWordRequest, context: object) -> pb.UnmuteWordResponse:
        async with self._database.transaction() as connection:
            await mutes.unmute_word(connection, require_caller(), request.word)
        return pb.UnmuteWordResponse()

    async def ListMutedWords(self, request: pb.ListMutedWordsRequest, context: object) -> pb.ListMutedWordsResponse:
        async with self._database.reading() as connection:
            words = await mutes.list_words(connection, require_caller())
        return pb.ListMutedWordsResponse(words=words)

    async def BatchGetMutes(self, request: pb.BatchGetMutesRequest, context: object) -> pb.BatchGetMutesResponse:
        async with self._database.reading() as connection:
            users, words = await mutes.batch_get(connection, request.user_ids)
        found = (pb.UserMutes(user_ids=users.get(id), words=words.get(id)) for id in request.user_ids)
        return pb.BatchGetMutesResponse(mutes=found)
