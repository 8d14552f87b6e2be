"""What a viewer may see of each user: lookups made at the same moment travel in one call."""

from collections.abc import Iterable, Mapping

import grpc.aio
import structlog

from gateway.cache.dataloader import DataLoader
from protos.social.v1.friends_pb2 import BatchCheckFriendsRequest, FriendCheck, UserPair
from protos.social.v1.friends_pb2_grpc import FriendsStub
from services.kit.errors import AWAY

ANYBODY = 0  # the viewer of a request without a token
MAX_BATCH = 500
TIMEOUT = 1.0

log = structlog.get_logger("sights")


class Sights:
    """Not cached: a user who has just closed themselves off is closed. While the social service is away, nobody sees
    anything."""

    def __init__(self, friends: FriendsStub) -> None:
        self._friends = friends
        self._checks = DataLoader(self._fetch, max_items=MAX_BATCH)

    async def of(self, viewer_id: int, user_ids: Iterable[int]) -> dict[int, FriendCheck]:
        """By user; without the viewer, and without users of whom nothing is known now."""
        ids = [id for id in dict.fromkeys(user_ids) if id != viewer_id]
        lookups = [self._checks.load((viewer_id, id)) for id in ids]
        checks = [await lookup for lookup in lookups]
        return {id: check for id, check in zip(ids, checks, strict=True) if check is not None}

    async def _fetch(self, pairs: list[tuple[int, int]]) -> Mapping[tuple[int, int], FriendCheck]:
        request = BatchCheckFriendsRequest(pairs=[UserPair(user_id=viewer, peer_id=user) for viewer, user in pairs])
        try:
            answer = await self._friends.BatchCheckFriends(request, timeout=TIMEOUT)
        except grpc.aio.AioRpcError as error:
            if error.code() not in AWAY:
                raise
            log.warning("nobody sees anything", status=error.code().name)
            return {}
        return dict(zip(pairs, answer.checks, strict=True))
