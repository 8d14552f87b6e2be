"""The users who are online, in Valkey.

One sorted set per user holds what keeps them online, scored by when that ends (Unix seconds). One sorted set holds all
users online, scored by when the last of these ends. Without Valkey the methods raise RedisError.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, NamedTuple

from redis.asyncio import Redis

from services.kit.cursor import decode_cursor, encode_cursor
from services.kit.pages import MAX_LIMIT, MAX_OFFSET, clamp

ONLINE = "chat:online"
BATCH = 500  # users per pipeline, and per search for expired ones

# Both sets change in one script, so that they agree whichever gateways report a user at the same moment. Pairs of what
# keeps the user online and when that ends follow the first two arguments; an empty end removes it. Returns whether the
# user was online before, and is now.
REFRESH = """
local now, user, ends, online = ARGV[1], ARGV[2], KEYS[1], KEYS[2]
local was = redis.call('ZCOUNT', ends, '(' .. now, '+inf')
for i = 3, #ARGV, 2 do
  if ARGV[i + 1] == '' then redis.call('ZREM', ends, ARGV[i])
  else redis.call('ZADD', ends, 'GT', ARGV[i + 1], ARGV[i]) end
end
redis.call('ZREMRANGEBYSCORE', ends, '-inf', now)
local last = redis.call('ZREVRANGE', ends, 0, 0, 'WITHSCORES')[2]
if not last then
  redis.call('ZREM', online, user)
  return {was, 0}
end
redis.call('ZADD', online, last, user)
redis.call('EXPIREAT', ends, math.ceil(last) + 1)
return {was, 1}
"""
# Removes and returns the users whose entries have all ended, so that each goes to one caller only.
EXPIRED = """
local users = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'LIMIT', 0, ARGV[2])
if #users > 0 then redis.call('ZREM', KEYS[1], unpack(users)) end
return users
"""

Ends = Mapping[str, float | None]  # by connection id, when it ends (Unix seconds); None: it has ended


class Page(NamedTuple):
    user_ids: list[int]
    next_cursor: str


class OnlineIndex:
    def __init__(self, redis: Redis, clock: Callable[[], float]) -> None:
        """`clock`: Unix seconds."""
        self._redis, self._clock = redis, clock
        self._refresh, self._expired = redis.register_script(REFRESH), redis.register_script(EXPIRED)

    async def refresh(self, changes: Mapping[int, Ends]) -> AsyncIterator[tuple[int, bool]]:
        """`changes` by user id. Yields the users who came online by them (True) or went offline (False)."""
        users = list(changes)
        for start in range(0, len(users), BATCH):
            batch = {user_id: changes[user_id] for user_id in users[start : start + BATCH]}
            for change in await self._refresh_batch(batch):
                yield change

    async def _refresh_batch(self, changes: Mapping[int, Ends]) -> list[tuple[int, bool]]:
        now = self._clock()
        async with self._redis.pipeline(transaction=False) as pipeline:
            for user_id, ends in changes.items():
                args: list[float | int | str] = [now, user_id]
                for id, end in ends.items():
                    args += [id, "" if end is None else end]
                await self._refresh(keys=[_key(user_id), ONLINE], args=args, client=pipeline)
            states = zip(changes, await pipeline.execute(), strict=True)
        return [(user_id, bool(is_online)) for user_id, (was, is_online) in states if bool(was) != bool(is_online)]

    async def among(self, user_ids: Sequence[int]) -> set[int]:
        """Those of the users who are online."""
        if not user_ids:
            return set()
        now, ends = self._clock(), await self._redis.zmscore(ONLINE, [str(user_id) for user_id in user_ids])
        return {user_id for user_id, end in zip(user_ids, ends, strict=True) if end is not None and end > now}

    async def page(self, cursor: str, offset: int, limit: int) -> Page:
        """Those who stay online for the longest come first. `offset` counts without a cursor. Raises CursorInvalid."""
        position = decode_cursor(cursor, tuple[float])
        limit = clamp(limit, MAX_LIMIT)
        rows: Any = await self._redis.zrange(
            ONLINE,
            f"({position[0]!r}" if position else "+inf",
            f"({self._clock()!r}",
            desc=True,
            byscore=True,
            offset=0 if position else min(max(offset, 0), MAX_OFFSET),
            num=limit + 1,
            withscores=True,
        )
        next_cursor = encode_cursor(rows[limit - 1][1]) if len(rows) > limit else ""
        return Page([int(user_id) for user_id, _ in rows[:limit]], next_cursor)

    async def take_expired(self) -> list[int]:
        """Users whose gateway died, or whose last request is over; up to BATCH of them, each returned once."""
        expired: list[bytes] = await self._expired(keys=[ONLINE], args=[self._clock(), BATCH])
        return [int(user_id) for user_id in expired]


def _key(user_id: int) -> str:
    return f"chat:presence:{user_id}"
