"""Where a session's random list of videos began, for pages that are asked for by their number, at whichever gateway."""

import secrets
from typing import Any

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from services.kit.ttl_map import TtlMap

TTL, MOST = 3_600, 50_000  # seconds, sessions in this process

log = structlog.get_logger("seeds")


class Seeds:
    """In Valkey, and here while that is away."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._here: TtlMap[int, int] = TtlMap(TTL, MOST)

    async def begin(self, session_id: int) -> int:
        """A new place."""
        seed = secrets.randbits(63)
        self._here.put(session_id, seed)
        try:
            await self._redis.set(_key(session_id), seed, ex=TTL)
        except (RedisError, OSError, TimeoutError) as error:
            log.warning("Valkey is away: another gateway begins elsewhere", error=repr(error)[:200])
        return seed

    async def last(self, session_id: int) -> int:
        """The place where it began last; a new one if that is forgotten."""
        try:
            found: Any = await self._redis.get(_key(session_id))
        except (RedisError, OSError, TimeoutError):
            found = self._here.get(session_id)
        return await self.begin(session_id) if found is None else int(found)


def _key(session_id: int) -> str:
    return f"seed:{session_id}"
