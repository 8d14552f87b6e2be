"""What a viewer may see of each user: lookups made at the same moment travel in one call."""

from collections.abc import Iterable, Mapping

import grpc.aio
import structlog

from gateway.cache.hearing import Lasting
from gateway.cache.near_caches.tagged_cache import TaggedCache
from protos.social.v1.friends_pb2 import BatchCheckFriendsRequest, FriendCheck, UserPair
from protos.social.v1.friends_pb2_grpc import FriendsStub
from services.kit.errors import AWAY

ANYBODY = 0  # the viewer of a request without a token
MAX_PAIRS = 100_000
TIMEOUT = 1.0  # seconds

log = structlog.get_logger("sights")

Pair = tuple[int, int]  # viewer and user


class Sights:
    """Kept until an event of the pair or of the user's settings; while no events are heard, not at all. While the
    social service is away, nobody sees anything."""

    def __init__(self, friends: FriendsStub, lasting: Lasting | None = None) -> None:
        self._friends = friends
        self.checks: TaggedCache[Pair, FriendCheck, int] = TaggedCache(
            self._fetch, 0.0, MAX_PAIRS, lambda pair, _: pair[1], lasting=lasting
        )

    async def of(self, viewer_id: int, user_ids: Iterable[int]) -> dict[int, FriendCheck]:
        """By user; without the viewer, and without users of whom nothing is known now."""
        found = await self.checks.load_many((viewer_id, id) for id in user_ids if id != viewer_id)
        return {id: check for (_, id), check in found.items()}

    def drop(self, a: int, b: int) -> None:
        """A friendship or a block between them began or ended."""
        self.checks.drop((a, b))
        self.checks.drop((b, a))

    def drop_user(self, user_id: int) -> None:
        """The user changed who sees what of them."""
        self.checks.drop_tag(user_id)

    async def _fetch(self, pairs: list[Pair]) -> Mapping[Pair, FriendCheck]:
        request = BatchCheckFriendsRequest(pairs=[UserPair(user_id=viewer, peer_id=user) for viewer, user in pairs])
        try:
            answer = await self._friends.BatchCheckFriends(request, timeout=TIMEOUT)
        except grpc.aio.AioRpcError as error:
            if error.code() not in AWAY:
                raise
            log.warning("nobody sees anything", status=error.code().name)
            return {}
        return dict(zip(pairs, answer.checks, strict=True))
