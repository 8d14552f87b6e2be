"""The users who are online, in Valkey.

One sorted set per user holds what keeps them online, scored by when that ends (Unix seconds). One sorted set holds all
users online, scored by when the last of these ends; in a cluster there are as many as hash tags, each with a part of
the users. Without Valkey the methods raise RedisError.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple

from redis.asyncio import Redis

from services.kit.cursor import decode_cursor, encode_cursor
from services.kit.pages import MAX_LIMIT, MAX_OFFSET, clamp
from services.valkey.cluster import choose_tag, hash_tags

ONLINE = "chat:online"
BATCH = 100  # users in one call of a script
MAX_EXPIRED = 500  # of one sorted set in one search

# Both sets change in one script, so that they agree whichever gateways report a user at the same moment. KEYS: the set
# of users online, then the set of each user. ARGV: the time, then for each user their id, how many pairs follow, and
# the pairs of what keeps the user online and when that ends; an empty end removes it. Returns two numbers for each
# user: whether they were online before, and are now.
REFRESH = """
local now, online, at, states = ARGV[1], KEYS[1], 2, {}
for place = 2, #KEYS do
  local ends, user, next = KEYS[place], ARGV[at], at + 2 + 2 * ARGV[at + 1]
  table.insert(states, redis.call('ZCOUNT', ends, '(' .. now, '+inf'))
  for i = at + 2, next - 1, 2 do
    if ARGV[i + 1] == '' then redis.call('ZREM', ends, ARGV[i])
    else redis.call('ZADD', ends, 'GT', ARGV[i + 1], ARGV[i]) end
  end
  redis.call('ZREMRANGEBYSCORE', ends, '-inf', now)
  local last = redis.call('ZREVRANGE', ends, 0, 0, 'WITHSCORES')[2]
  if last then
    redis.call('ZADD', online, last, user)
    redis.call('EXPIREAT', ends, math.ceil(last) + 1)
    table.insert(states, 1)
  else
    redis.call('ZREM', online, user)
    table.insert(states, 0)
  end
  at = next
end
return states
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
        self._redis, self._clock, self._tags = redis, clock, hash_tags(redis)
        self._refresh, self._expired = redis.register_script(REFRESH), redis.register_script(EXPIRED)

    async def refresh(self, changes: Mapping[int, Ends]) -> AsyncIterator[tuple[int, bool]]:
        """`changes` by user id. Yields the users who came online by them (True) or went offline (False)."""
        for tag, users in self._by_tag(changes).items():
            for start in range(0, len(users), BATCH):
                batch = {user_id: changes[user_id] for user_id in users[start : start + BATCH]}
                for change in await self._refresh_batch(tag, batch):
                    yield change

    async def _refresh_batch(self, tag: str, changes: Mapping[int, Ends]) -> list[tuple[int, bool]]:
        args: list[float | int | str] = [self._clock()]
        for user_id, ends in changes.items():
            args += [user_id, len(ends)]
            for id, end in ends.items():
                args += [id, "" if end is None else end]
        keys = [ONLINE + tag, *(f"chat:presence:{tag}{user_id}" for user_id in changes)]
        states = await self._refresh(keys=keys, args=args)
        changed = zip(changes, states[::2], states[1::2], strict=True)
        return [(user_id, bool(is_online)) for user_id, was, is_online in changed if bool(was) != bool(is_online)]

    def _by_tag(self, user_ids: Iterable[int]) -> dict[str, list[int]]:
        users: dict[str, list[int]] = {}
        for user_id in user_ids:
            users.setdefault(choose_tag(self._tags, user_id), []).append(user_id)
        return users

    async def among(self, user_ids: Sequence[int]) -> set[int]:
        """Those of the users who are online."""
        now, groups = self._clock(), self._by_tag(user_ids)
        asked = [self._redis.zmscore(ONLINE + tag, [str(id) for id in users]) for tag, users in groups.items()]
        found = zip(chain(*groups.values()), chain(*await asyncio.gather(*asked)), strict=True)
        return {user_id for user_id, end in found if end is not None and end > now}

    async def page(self, cursor: str, offset: int, limit: int) -> Page:
        """Those who stay online for the longest come first. `offset` counts without a cursor. Raises CursorInvalid."""
        position = decode_cursor(cursor, tuple[float])
        limit = clamp(limit, MAX_LIMIT)
        skipped = 0 if position else min(max(offset, 0), MAX_OFFSET)
        below = f"({position[0]!r}" if position else "+inf"
        if len(self._tags) == 1:
            rows = await self._read(self._tags[0], below, skipped, limit + 1)
        else:
            parts = await asyncio.gather(*[self._read(tag, below, 0, skipped + limit + 1) for tag in self._tags])
            rows = sorted(chain(*parts), key=lambda row: -row[1])[skipped:]
        next_cursor = encode_cursor(rows[limit - 1][1]) if len(rows) > limit else ""
        return Page([int(user_id) for user_id, _ in rows[:limit]], next_cursor)

    async def _read(self, tag: str, below: str, offset: int, count: int) -> Any:
        options: Any = {"desc": True, "byscore": True, "offset": offset, "num": count, "withscores": True}
        return await self._redis.zrange(ONLINE + tag, below, f"({self._clock()!r}", **options)

    async def take_expired(self) -> list[int]:
        """Users whose gateway died, or whose last request is over; each is returned once. Empty if there are none."""
        args = [self._clock(), MAX_EXPIRED]
        expired = await asyncio.gather(*[self._expired(keys=[ONLINE + tag], args=args) for tag in self._tags])
        return [int(user_id) for user_id in chain(*expired)]
