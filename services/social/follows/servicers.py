"""The RPCs of protos/social/v1/follows.proto."""

from collections.abc import Sequence

from protos.social.v1 import follows_pb2 as pb
from protos.social.v1.follows_pb2_grpc import FollowsServicer
from services.kit.batcher import Batcher
from services.kit.context import require_caller
from services.kit.pages import check_batch
from services.kit.rpc.group_commit import group_commit, write_together
from services.social.errors import Overloaded
from services.social.follows import follows, lists
from services.social.follows.follows import Change, Outcome
from services.social.service import Service


class Follows(FollowsServicer):
    def __init__(self, service: Service) -> None:
        self._database, self._most = service.database, service.settings.max_followed
        self._changes: Batcher[Change, Outcome] = group_commit(self._write, Overloaded)

    async def _write(self, changes: list[Change]) -> Sequence[Outcome]:
        async with self._database.transaction() as connection:
            return await follows.change_follows(connection, changes, self._most)

    async def SetFollows(self, request: pb.SetFollowsRequest, context: object) -> pb.SetFollowsResponse:
        check_batch(request.changes)
        changes = [Change(each.user_id, each.followed_id, each.follows) for each in request.changes]
        outcomes = await write_together(self._changes, changes)
        return pb.SetFollowsResponse(outcomes=(pb.FollowOutcome(**outcome._asdict()) for outcome in outcomes))

    async def RemoveFollower(self, request: pb.RemoveFollowerRequest, context: object) -> pb.RemoveFollowerResponse:
        async with self._database.transaction() as connection:
            await follows.remove_follower(connection, require_caller(), request.user_id)
        return pb.RemoveFollowerResponse()

    async def HandleFollowRequest(
        self, request: pb.HandleFollowRequestRequest, context: object
    ) -> pb.HandleFollowRequestResponse:
        async with self._database.transaction() as connection:
            await follows.handle_request(connection, require_caller(), request.user_id, request.accept)
        return pb.HandleFollowRequestResponse()

    async def ListFollows(self, request: pb.ListFollowsRequest, context: object) -> pb.ListFollowsResponse:
        wanted = (request.list, request.user_id, request.cursor, request.limit)
        async with self._database.reading() as connection:
            user_ids, cursor = await lists.list_follows(connection, require_caller(), *wanted)
        return pb.ListFollowsResponse(user_ids=user_ids, next_cursor=cursor)

    async def BatchGetFollowCounts(
        self, request: pb.BatchGetFollowCountsRequest, context: object
    ) -> pb.BatchGetFollowCountsResponse:
        async with self._database.reading() as connection:
            rows = await lists.get_counts(connection, request.user_ids)
        counts = (pb.FollowCounts(followers=row.followers, following=row.following) for row in rows)
        return pb.BatchGetFollowCountsResponse(counts=counts)

    async def BatchGetFollowStates(
        self, request: pb.BatchGetFollowStatesRequest, context: object
    ) -> pb.BatchGetFollowStatesResponse:
        viewers = request.viewer_ids or [require_caller().user_id] * len(request.user_ids)
        async with self._database.reading() as connection:
            rows = await lists.get_states(connection, viewers, request.user_ids)
        states = (
            pb.FollowState(follows=row.mine is False, requested=row.mine is True, follows_me=row.theirs is False)
            for row in rows
        )
        return pb.BatchGetFollowStatesResponse(states=states)
