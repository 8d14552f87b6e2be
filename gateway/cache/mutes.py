"""Which users and words a viewer muted, and whether something is therefore hidden from them.

Pages are cached for all viewers and filtered for each, so that a mute takes nobody off the shared cache.
"""

import re
from collections.abc import Mapping
from typing import NamedTuple

import grpc.aio
import structlog

from gateway.cache.near_caches.near_cache import NearCache
from protos.social.v1.mutes_pb2 import BatchGetMutesRequest
from protos.social.v1.mutes_pb2_grpc import MutesStub
from services.kit.errors import AWAY
from services.kit.texts.text_search import fold, pattern_of

TTL, MAX_VIEWERS = 30.0, 20_000  # seconds; an event drops an entry sooner
TIMEOUT = 1.0  # seconds

log = structlog.get_logger("mutes")


class Muted(NamedTuple):
    """The users and words that a viewer muted."""

    users: frozenset[int] = frozenset()
    finds: re.Pattern[str] | None = None  # any of the words, in a folded text

    def hides(self, user_id: int, *texts: str) -> bool:
        """Whether what the user wrote is hidden."""
        if user_id in self.users:
            return True
        return self.finds is not None and any(self.finds.search(fold(text)) for text in texts)


NOTHING = Muted()


def viewers_mutes(mutes: MutesStub) -> NearCache[int, Muted]:
    """By viewer. While the social service is away nothing is hidden: a mute is a comfort."""

    async def fetch(user_ids: list[int]) -> Mapping[int, Muted]:
        try:
            found = (await mutes.BatchGetMutes(BatchGetMutesRequest(user_ids=user_ids), timeout=TIMEOUT)).mutes
        except grpc.aio.AioRpcError as error:
            if error.code() not in AWAY:
                raise
            log.warning("mutes unknown", status=error.code().name)
            return {}
        return {
            user_id: Muted(frozenset(each.user_ids), pattern_of(each.words)) if each.user_ids or each.words else NOTHING
            for user_id, each in zip(user_ids, found, strict=True)
        }

    return NearCache(fetch, TTL, MAX_VIEWERS)
