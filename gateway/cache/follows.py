"""Follows: the changes of one moment travel in one call; counts, and who follows whom, are kept until an event."""

from collections.abc import Mapping, Sequence

from gateway.cache.hearing import Lasting
from gateway.cache.near_caches.near_cache import NearCache
from gateway.http.errors import Blocked, FollowLimitReached, SelfFollow, UserNotFound
from protos.social.v1 import follows_pb2 as pb
from protos.social.v1.follows_pb2_grpc import FollowsStub
from services.kit.batcher import Batcher
from services.kit.context import Caller

TTL, MAX_USERS = 1.0, 20_000  # seconds while no events are heard, users
MAX_PAIRS = 50_000
REFUSALS = {error.reason: error for error in (Blocked, FollowLimitReached, SelfFollow, UserNotFound)}


class Follows:
    def __init__(self, follows: FollowsStub, lasting: Lasting | None = None) -> None:
        self._follows = follows
        self._changes = Batcher(self._set, name="follow")
        self.counts: NearCache[int, pb.FollowCounts] = NearCache(self._fetch_counts, TTL, MAX_USERS, lasting=lasting)
        # By viewer and user; without events each is loaded anew.
        self.states: NearCache[tuple[int, int], pb.FollowState] = NearCache(
            self._fetch_states, 0.0, MAX_PAIRS, lasting=lasting
        )

    async def set(self, caller: Caller, user_id: int, follows: bool) -> bool:
        """Returns once it is committed: whether the user has to accept it first. Raises what the service refuses."""
        change = pb.FollowChange(user_id=caller.user_id, followed_id=user_id, follows=follows)
        outcome = await self._changes.submit(change)
        if outcome.reason:
            raise REFUSALS[outcome.reason]
        self.drop(caller.user_id, user_id)
        return outcome.requested

    def drop(self, a: int, b: int) -> None:
        """One of them follows the other, or asks to, or no longer does."""
        for user_id in (a, b):
            self.counts.drop(user_id)
        for pair in ((a, b), (b, a)):
            self.states.drop(pair)

    async def _set(self, changes: list[pb.FollowChange]) -> Sequence[pb.FollowOutcome]:
        return (await self._follows.SetFollows(pb.SetFollowsRequest(changes=changes))).outcomes

    async def _fetch_counts(self, user_ids: list[int]) -> Mapping[int, pb.FollowCounts]:
        found = await self._follows.BatchGetFollowCounts(pb.BatchGetFollowCountsRequest(user_ids=user_ids))
        return dict(zip(user_ids, found.counts, strict=True))

    async def _fetch_states(self, pairs: list[tuple[int, int]]) -> Mapping[tuple[int, int], pb.FollowState]:
        viewers, users = zip(*pairs, strict=True)
        asked = pb.BatchGetFollowStatesRequest(user_ids=users, viewer_ids=viewers)
        return dict(zip(pairs, (await self._follows.BatchGetFollowStates(asked)).states, strict=True))
