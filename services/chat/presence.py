"""Presence: each user's open connections in Valkey, scored by the time at which they end unless refreshed.

Without Valkey presence is unknown, and the chat goes on.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError
from sqlalchemy import func, select, text
from sqlalchemy.dialects.postgresql import insert as upsert

from services.chat.membership.permissions import Permissions
from services.chat.messages import milliseconds
from services.chat.models import GROUP, UserLastSeen
from services.chat.push import frames
from services.chat.push.outbox import Publisher
from services.kit.context import Caller
from services.kit.db import Database
from services.kit.events.stream import LOST
from services.kit.pages import check_batch

MAX_BATCH = 200
MAX_CONNECTIONS = 10_000  # in one call
SWEEP_SECONDS = 5.0  # between looks for users whose gateway died
SWEEP_BATCH = 500  # users per look, and per pipeline of a refresh
ONLINE = "chat:online"  # all users online, scored by the time at which the last of their connections ends

# Refreshes some of a user's connections and ends others; returns whether the user was online before, and is now.
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
# Returns users whose connections have all ended, each to one caller only.
EXPIRED = """
local users = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'LIMIT', 0, ARGV[2])
if #users > 0 then redis.call('ZREM', KEYS[1], unpack(users)) end
return users
"""

# Those of the users who share a group with the caller.
SHARING_A_GROUP = text(f"""SELECT asked.id FROM unnest(CAST(:others AS bigint[])) AS asked(id) CROSS JOIN LATERAL (
 SELECT FROM conversation_member AS theirs
 JOIN conversation_member AS mine ON mine.conversation_id = theirs.conversation_id AND mine.user_id = :user_id
 WHERE theirs.user_id = asked.id AND theirs.left_at IS NULL AND mine.left_at IS NULL
 AND (SELECT kind FROM conversation WHERE id = theirs.conversation_id) = {GROUP} LIMIT 1) AS shared""")  # noqa: S608

log = structlog.get_logger("presence")


class UserPresence(NamedTuple):
    user_id: int
    online: bool
    last_seen_at: int  # Unix milliseconds; 0: unknown


class Presence:
    def __init__(
        self,
        database: Database,
        redis: Redis,
        publisher: Publisher,
        permissions: Permissions,
        seconds: int,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`seconds`: how long a connection counts as open after its last refresh. `clock`: Unix seconds."""
        self._database, self._redis, self._clock = database, redis, clock
        self._publisher, self._permissions, self._seconds = publisher, permissions, seconds
        self._refresh, self._expired = redis.register_script(REFRESH), redis.register_script(EXPIRED)
        self._seen: dict[int, datetime] = {}  # not stored yet

    async def refresh(self, connections: Sequence[tuple[int, str, bool]]) -> None:
        """`connections` are (user id, connection id, closed) of one gateway. Without Valkey nothing happens.

        Raises BatchTooLarge.
        """
        check_batch(connections, MAX_CONNECTIONS)
        by_user: dict[int, list[str]] = {}
        for user_id, id, closed in connections:
            by_user.setdefault(user_id, []).append(("-" if closed else "+") + id)
        users = list(by_user.items())
        try:
            for start in range(0, len(users), SWEEP_BATCH):
                await self._refresh_users(dict(users[start : start + SWEEP_BATCH]))
        except RedisError as error:
            log.warning("presence unknown", error=repr(error)[:200])

    async def _refresh_users(self, changes: dict[int, list[str]]) -> None:
        now = self._clock()
        async with self._redis.pipeline(transaction=False) as pipeline:
            for user_id, connections in changes.items():
                args: list[float | str] = [now, now + self._seconds, *connections]
                await self._refresh(keys=[_key(user_id)], args=args, client=pipeline)
            states = dict(zip(changes, await pipeline.execute(), strict=True))
        await self._index({user_id: bool(is_online) for user_id, (_, is_online) in states.items()}, now)
        for user_id, (was_online, is_online) in states.items():
            if bool(was_online) != bool(is_online):
                self._publish_change(user_id, bool(is_online))

    async def _index(self, states: dict[int, bool], now: float) -> None:
        online = {str(id): now + self._seconds for id, is_online in states.items() if is_online}
        offline = [str(id) for id, is_online in states.items() if not is_online]
        async with self._redis.pipeline(transaction=False) as pipeline:
            if online:
                pipeline.zadd(ONLINE, online)
            if offline:
                pipeline.zrem(ONLINE, *offline)
            await pipeline.execute()

    def _publish_change(self, user_id: int, online: bool) -> None:
        now = datetime.fromtimestamp(self._clock(), UTC)
        self._seen[user_id] = now
        self._publisher.publish_unstored(frames.presence_changed(user_id, online, milliseconds(now)))

    async def sweep(self) -> None:
        """Announces users whose gateway died as offline, and stores when users were last seen."""
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            try:
                await self.sweep_now()
                await self.save_seen()
            except (RedisError, *LOST) as error:
                log.warning("presence sweep failed", error=repr(error)[:200])

    async def sweep_now(self) -> None:
        expired: list[bytes] = await self._expired(keys=[ONLINE], args=[self._clock(), SWEEP_BATCH])
        for user in expired:
            self._publish_change(int(user), online=False)

    async def save_seen(self) -> None:
        """Raises one of LOST, and keeps what it could not store."""
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
        """Of the caller, their friends, and users who share a group with them; the others are left out.

        Raises BatchTooLarge, SocialUnavailable.
        """
        check_batch(user_ids, MAX_BATCH)
        visible = await self._visible(caller, list(dict.fromkeys(user_ids)))
        if not visible:
            return []
        try:
            async with self._redis.pipeline(transaction=False) as pipeline:
                for user_id in visible:
                    pipeline.zcount(_key(user_id), f"({self._clock()}", "+inf")
                online = dict(zip(visible, await pipeline.execute(), strict=True))
        except RedisError:
            return []
        seen_at = await self._last_seen(visible)
        return [UserPresence(id, bool(online[id]), milliseconds(seen_at.get(id))) for id in visible]

    async def _last_seen(self, user_ids: list[int]) -> dict[int, datetime]:
        query = select(UserLastSeen.__table__).where(UserLastSeen.user_id.in_(user_ids))
        async with self._database.transaction() as connection:
            stored = {row.user_id: row.seen_at for row in await connection.execute(query)}
        return stored | {id: self._seen[id] for id in user_ids if id in self._seen}

    async def _visible(self, caller: Caller, user_ids: list[int]) -> list[int]:
        """Those of the users whose presence the caller may see."""
        friends = await self._permissions.friends_among(caller.user_id, user_ids)
        others = [id for id in user_ids if id not in friends]
        values = {"user_id": caller.user_id, "others": others}
        async with self._database.transaction() as connection:
            sharing = set((await connection.execute(SHARING_A_GROUP, values)).scalars()) if others else set[int]()
        return [id for id in user_ids if id in friends or id in sharing or id == caller.user_id]


def _key(user_id: int) -> str:
    return f"chat:presence:{user_id}"
