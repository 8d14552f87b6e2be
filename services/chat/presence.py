"""Who is online: connections in Valkey, each scored by when it ends if nobody refreshes it.

Without Valkey it is unknown, and the chat goes on.
"""

import asyncio
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import structlog
from nats.aio.client import Client as Nats
from redis.asyncio import Redis
from redis.exceptions import RedisError
from sqlalchemy import func, select, text
from sqlalchemy.dialects.postgresql import insert as upsert

from services.chat.errors import BatchTooLarge
from services.chat.messages import rfc3339
from services.chat.models import GROUP, UserLastSeen
from services.chat.push import frames
from services.chat.push.outbox import Publisher
from services.chat.sending.permissions import Permits
from services.kit.context import Caller
from services.kit.db import Database
from services.kit.events import LOST

MAX_BATCH = 200
MAX_CONNECTIONS = 10_000  # a call
SWEEP, BATCH = 5.0, 500  # seconds between looks for users whose gateway died; users a look
ONLINE = "chat:online"  # users by when the last of their connections ends

# Refreshes some of a user's connections and ends others; answers whether he was and is online.
REFRESH = """
local now, key = tonumber(ARGV[1]), KEYS[1]
local was = redis.call('ZCOUNT', key, '(' .. now, '+inf')
redis.call('ZREMRANGEBYSCORE', key, '-inf', now)
for i = 3, #ARGV do
  local id = string.sub(ARGV[i], 2)
  if string.sub(ARGV[i], 1, 1) == '+' then redis.call('ZADD', key, ARGV[2], id) else redis.call('ZREM', key, id) end
end
local last = redis.call('ZREVRANGE', key, 0, 0, 'WITHSCORES')
if not last[2] then return {was, 0} end
redis.call('EXPIREAT', key, math.ceil(last[2]) + 1)
return {was, 1}
"""
# The users whose connections all have ended, told to one who asks.
OVER = """
local users = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'LIMIT', 0, ARGV[2])
if #users > 0 then redis.call('ZREM', KEYS[1], unpack(users)) end
return users
"""

# Those of the users who are with one in a group.
NEAR = text(f"""SELECT asked.id FROM unnest(CAST(:others AS bigint[])) AS asked(id) CROSS JOIN LATERAL (
 SELECT FROM conversation_member AS theirs
 JOIN conversation_member AS mine ON mine.conversation_id = theirs.conversation_id AND mine.user_id = :user_id
 WHERE theirs.user_id = asked.id AND theirs.left_at IS NULL AND mine.left_at IS NULL
 AND (SELECT kind FROM conversation WHERE id = theirs.conversation_id) = {GROUP} LIMIT 1) AS together""")  # noqa: S608

log = structlog.get_logger("presence")


class UserPresence(NamedTuple):
    user_id: int
    online: bool
    last_seen_at: int  # Unix milliseconds; 0: unknown


class Presence:
    def __init__(
        self, database: Database, redis: Redis, nats: Nats, publisher: Publisher, permits: Permits, seconds: int
    ) -> None:
        self._database, self._redis, self._nats = database, redis, nats
        self._publisher, self._permits, self._seconds = publisher, permits, seconds
        self._refresh, self._over = redis.register_script(REFRESH), redis.register_script(OVER)
        self._seen: dict[int, datetime] = {}  # not yet written

    async def refresh(self, connections: Sequence[tuple[int, str, bool]]) -> None:
        """(user, connection, closed) of one gateway; without Valkey nothing happens. Raises BatchTooLarge."""
        if len(connections) > MAX_CONNECTIONS:
            raise BatchTooLarge
        by_user: dict[int, list[str]] = {}
        for user_id, id, closed in connections:
            by_user.setdefault(user_id, []).append(("-" if closed else "+") + id)
        users = list(by_user.items())
        try:
            for start in range(0, len(users), BATCH):
                await self._refresh_users(dict(users[start : start + BATCH]))
        except RedisError as error:
            log.warning("presence unknown", error=repr(error)[:200])

    async def _refresh_users(self, changes: dict[int, list[str]]) -> None:
        now = time.time()
        async with self._redis.pipeline(transaction=False) as pipeline:
            for user_id, connections in changes.items():
                args: list[float | str] = [now, now + self._seconds, *connections]
                await self._refresh(keys=[_key(user_id)], args=args, client=pipeline)
            states = dict(zip(changes, await pipeline.execute(), strict=True))
        await self._index({user_id: bool(is_online) for user_id, (_, is_online) in states.items()}, now)
        for user_id, (was_online, is_online) in states.items():
            if bool(was_online) != bool(is_online):
                self._tell(user_id, bool(is_online))

    async def _index(self, states: dict[int, bool], now: float) -> None:
        online = {str(id): now + self._seconds for id, on in states.items() if on}
        offline = [str(id) for id, on in states.items() if not on]
        async with self._redis.pipeline(transaction=False) as pipeline:
            if online:
                pipeline.zadd(ONLINE, online)
            if offline:
                pipeline.zrem(ONLINE, *offline)
            await pipeline.execute()

    def _tell(self, user_id: int, online: bool) -> None:
        now = datetime.now(UTC)
        self._seen[user_id] = now
        self._publisher.put_passing(frames.presence_changed(user_id, online, rfc3339(now)))

    async def sweep(self) -> None:
        """Ends, for ever, those whose gateway died, and writes down who was seen when."""
        while True:
            await asyncio.sleep(SWEEP)
            try:
                await self.sweep_now()
                await self.save_seen()
            except (RedisError, *LOST) as error:
                log.warning("presence sweep", error=repr(error)[:200])

    async def sweep_now(self) -> None:
        over: list[bytes] = await self._over(keys=[ONLINE], args=[time.time(), BATCH])
        for user in over:
            self._tell(int(user), online=False)

    async def save_seen(self) -> None:
        seen, self._seen = self._seen, {}
        if not seen:
            return
        rows = upsert(UserLastSeen).values([{"user_id": id, "seen_at": at} for id, at in sorted(seen.items())])
        later = func.greatest(UserLastSeen.seen_at, rows.excluded.seen_at)
        statement = rows.on_conflict_do_update(index_elements=["user_id"], set_={"seen_at": later})
        try:
            async with self._database.transaction() as connection:
                await connection.execute(statement)
        except LOST:
            self._seen = {**seen, **self._seen}
            raise

    async def batch_get(self, caller: Caller, user_ids: Sequence[int]) -> list[UserPresence]:
        """Of his friends, of those he shares a group with, and his own. Raises BatchTooLarge, SocialUnavailable."""
        if len(user_ids) > MAX_BATCH:
            raise BatchTooLarge
        known = await self._known(caller, list(dict.fromkeys(user_ids)))
        if not known:
            return []
        try:
            async with self._redis.pipeline(transaction=False) as pipeline:
                for user_id in known:
                    pipeline.zcount(_key(user_id), f"({time.time()}", "+inf")
                online = dict(zip(known, await pipeline.execute(), strict=True))
        except RedisError:
            return []
        seen = select(UserLastSeen.__table__).where(UserLastSeen.user_id.in_(known))
        async with self._database.transaction() as connection:
            at = {row.user_id: row.seen_at for row in await connection.execute(seen)} | {
                id: self._seen[id] for id in known if id in self._seen
            }
        return [UserPresence(id, bool(online[id]), _milliseconds(at.get(id))) for id in known]

    async def _known(self, caller: Caller, user_ids: list[int]) -> list[int]:
        """Those among the users of whom the caller may know."""
        friends = await self._permits.friends_among(caller.user_id, user_ids)
        others = [id for id in user_ids if id not in friends]
        values = {"user_id": caller.user_id, "others": others}
        async with self._database.transaction() as connection:
            near = set((await connection.execute(NEAR, values)).scalars()) if others else set[int]()
        return [id for id in user_ids if id in friends or id in near or id == caller.user_id]


def _key(user_id: int) -> str:
    return f"chat:presence:{user_id}"


def _milliseconds(moment: Any) -> int:
    return round(moment.timestamp() * 1000) if moment else 0
