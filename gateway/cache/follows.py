"""Follows: the changes of one moment travel in one call, and the counts of users are kept for a second."""

from collections.abc import Mapping, Sequence

from gateway.cache.near_cache import NearCache
from gateway.http.errors import Blocked, FollowLimitReached, SelfFollow, UserNotFound
from protos.social.v1 import follows_pb2 as pb
from protos.social.v1.follows_pb2_grpc import FollowsStub
from services.kit.batcher import Batcher
from services.kit.context import Caller

TTL, MAX_USERS = 1.0, 20_000  # seconds, users
REFUSALS = {error.reason: error for error in (Blocked, FollowLimitReached, SelfFollow, UserNotFound)}


class Follows:
    def __init__(self, follows: FollowsStub) -> None:
        self._follows = follows
        self._changes = Batcher(self._set, name="follow")
        self.counts: NearCache[int, pb.FollowCounts] = NearCache(self._fetch_counts, TTL, MAX_USERS)

    async def set(self, caller: Caller, user_id: int, follows: bool) -> bool:
        """Returns once it is committed: whether the user has to accept it first. Raises what the service refuses."""
        change = pb.FollowChange(user_id=caller.user_id, followed_id=user_id, follows=follows)
        outcome = await self._changes.submit(change)
        if outcome.reason:
            raise REFUSALS[outcome.reason]
        self.drop(caller.user_id, user_id)
        return outcome.requested

    def drop(self, *user_ids: int) -> None:
        for user_id in user_ids:
            self.counts.drop(user_id)

    async def _set(self, changes: list[pb.FollowChange]) -> Sequence[pb.FollowOutcome]:
        return (await self._follows.SetFollows(pb.SetFollowsRequest(changes=changes))).outcomes

    async def _fetch_counts(self, user_ids: list[int]) -> Mapping[int, pb.FollowCounts]:
        found = await self._follows.BatchGetFollowCounts(pb.BatchGetFollowCountsRequest(user_ids=user_ids))
        return dict(zip(user_ids, found.counts, strict=True))
