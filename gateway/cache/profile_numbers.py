"""What a profile counts, and who of its user and its viewer follows the other."""

import asyncio
from collections.abc import Awaitable, Mapping
from typing import NamedTuple, TypeVar

import grpc.aio
import structlog

from gateway.cache.follows import Follows
from gateway.cache.hearing import Lasting
from gateway.cache.near_caches.near_cache import NearCache
from protos.media.v1 import videos_pb2 as pb
from protos.media.v1.videos_pb2_grpc import VideosStub
from protos.social.v1.follows_pb2 import FollowCounts, FollowState
from services.kit.context import Caller

T = TypeVar("T")

TTL, MAX_OWNERS = 1.0, 20_000  # seconds while no events are heard, users
OWNERS_SECONDS = 10.0  # no event tells that a like was taken back
ITSELF = FollowState()
log = structlog.get_logger("profiles")


class ProfileNumbers(NamedTuple):
    """None: the service that knows it is away."""

    follows: FollowCounts | None
    videos: pb.OwnerStats | None
    state: FollowState | None


class Numbers:
    def __init__(self, videos: VideosStub, follows: Follows, lasting: Lasting | None = None) -> None:
        self._videos, self._follows = videos, follows
        self.owners: NearCache[int, pb.OwnerStats] = NearCache(self._fetch, TTL, MAX_OWNERS, lasting=lasting)

    def here(self, viewer: Caller, user_id: int) -> ProfileNumbers | None:
        """Those of `of`, if all are in the caches: the tasks that ask for them would cost more than all else."""
        counts, owner = self._follows.counts.peek(user_id), self.owners.peek(user_id)
        state = ITSELF if viewer.user_id == user_id else self._follows.states.peek((viewer.user_id, user_id))
        return ProfileNumbers(counts, owner, state) if counts and owner and state else None

    async def of(self, viewer: Caller, user_id: int) -> ProfileNumbers:
        return self.here(viewer, user_id) or ProfileNumbers(
            *await asyncio.gather(
                _if_there(self._follows.counts.load(user_id)),
                _if_there(self.owners.load(user_id)),
                _if_there(self._state(viewer, user_id)),
            )
        )

    async def _state(self, viewer: Caller, user_id: int) -> FollowState | None:
        return ITSELF if viewer.user_id == user_id else await self._follows.states.load((viewer.user_id, user_id))

    async def _fetch(self, user_ids: list[int]) -> Mapping[int, pb.OwnerStats]:
        found = await self._videos.BatchGetOwnerStats(pb.BatchGetOwnerStatsRequest(user_ids=user_ids))
        return dict(zip(user_ids, found.stats, strict=True))


async def _if_there(lookup: Awaitable[T | None]) -> T | None:
    """None if the service is away, or of a release without such numbers: a profile is worth more than they are."""
    try:
        return await lookup
    except grpc.aio.AioRpcError as error:
        log.warning("numbers unknown", status=error.code().name)
        return None
