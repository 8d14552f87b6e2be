"""Presence: a user is online while they have an open WebSocket, and for 60 s after each HTTP request
(docs/contract/api.md). The gateways report both.

Without Valkey presence is unknown, and the chat goes on.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import NamedTuple, Protocol

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError
from sqlalchemy import func, select, text
from sqlalchemy.dialects.postgresql import insert as upsert

from protos.social.v1.friends_pb2 import FriendCheck
from services.chat.apart import apart_from
from services.chat.membership.permissions import Permissions
from services.chat.messages import milliseconds
from services.chat.models import GROUP, UserLastSeen
from services.chat.online import OnlineIndex, Page
from services.chat.push import frames
from services.chat.push.outbox import Publisher
from services.kit import background
from services.kit.context import Caller
from services.kit.db import Database
from services.kit.events.stream import LOST
from services.kit.pages import check_batch
from services.kit.ttl_map import TtlMap

MAX_BATCH = 200
MAX_LOOKUP = 10_000  # users in one lookup, and connections in one report
REQUEST_SECONDS = 60.0  # for which a request keeps its user online
REQUEST = "request"  # instead of a connection id
SWEEP_SECONDS = 5.0  # between searches for users who left without a report
MAX_HIDDEN = 1_000  # users named in a frame; one with more blocks is not announced
MAX_STORED = 10_000  # users whose last_seen is stored in one statement
ERASED_SECONDS, MAX_ERASED = 3_600.0, 100_000  # deleted accounts

# Those of the users who share a group with the caller.
SHARING_A_GROUP = text(f"""SELECT asked.id FROM unnest(CAST(:others AS bigint[])) AS asked(id) CROSS JOIN LATERAL (
 SELECT FROM conversation_member AS theirs
 JOIN conversation_member AS mine ON mine.conversation_id = theirs.conversation_id AND mine.user_id = :user_id
 WHERE theirs.user_id = asked.id AND theirs.left_at IS NULL AND mine.left_at IS NULL
 AND (SELECT kind FROM conversation WHERE id = theirs.conversation_id) = {GROUP} LIMIT 1) AS shared""")  # noqa: S608

log = structlog.get_logger("presence")


class Report(Protocol):
    """A Connection of protos/chat/v1/sockets.proto."""

    user_id: int
    connection_id: str
    closed: bool
    requested_at: int  # Unix milliseconds; 0: it is a WebSocket


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
        self._database, self._clock, self._seconds = database, clock, seconds
        self._publisher, self._permissions = publisher, permissions
        self._index = OnlineIndex(redis, clock)
        self._seen: dict[int, datetime] = {}  # not stored yet
        self._erased: TtlMap[int, bool] = TtlMap(ERASED_SECONDS, MAX_ERASED)

    async def refresh(self, reports: Sequence[Report]) -> bool:
        """Applies the reports of one gateway. Returns False if Valkey is away and nothing was kept. Raises
        BatchTooLarge.
        """
        check_batch(reports, MAX_LOOKUP)
        changed: dict[int, bool] = {}
        try:
            async for user_id, is_online in self._index.refresh(self._ends(reports)):
                changed[user_id] = is_online  # noqa: PERF403 (kept if one fails)
        except RedisError as error:
            log.warning("presence unknown", error=repr(error)[:200])
            return False
        finally:
            await self._publish_changes(changed)
        return True

    def _ends(self, reports: Sequence[Report]) -> dict[int, dict[str, float | None]]:
        """When each connection of each user ends. No two times are equal, because a page continues after the last
        one."""
        now = self._clock()
        changes: dict[int, dict[str, float | None]] = {}
        for number, report in enumerate(reports):
            ends = changes.setdefault(report.user_id, {})
            if report.requested_at:
                ends[REQUEST] = min(report.requested_at / 1000, now) + REQUEST_SECONDS + number * 1e-6
            else:
                ends[report.connection_id] = None if report.closed else now + self._seconds + number * 1e-6
        return changes

    async def online_among(self, user_ids: Sequence[int]) -> set[int]:
        """Those of the users who are online; nobody without Valkey. Raises BatchTooLarge."""
        check_batch(user_ids, MAX_LOOKUP)
        try:
            return await self._index.among(user_ids)
        except RedisError:
            return set()

    async def list_online(self, cursor: str, offset: int, limit: int) -> Page:
        """Nobody without Valkey. Raises CursorInvalid."""
        try:
            return await self._index.page(cursor, offset, limit)
        except RedisError:
            return Page([], "")

    async def _publish_changes(self, changed: Mapping[int, bool]) -> None:
        """Notifies the subscribers of the users who may see them; nobody while PostgreSQL is away."""
        now = datetime.fromtimestamp(self._clock(), UTC)
        self._seen |= {user_id: now for user_id in changed if not self._erased.get(user_id)}
        if not changed:
            return
        try:
            async with self._database.transaction() as connection:
                apart = await apart_from(connection, list(changed))
        except LOST as error:
            log.warning("presence not published", error=repr(error)[:200])
            return
        for user_id, online in changed.items():
            hidden = apart.get(user_id, ())
            if len(hidden) <= MAX_HIDDEN:
                self._publisher.publish_unstored(frames.presence_changed(user_id, online, milliseconds(now), hidden))

    async def sweep(self) -> None:
        """Announces users who went without a report, and stores when users were last seen."""
        while True:
            background.come_round()
            await asyncio.sleep(SWEEP_SECONDS)
            try:
                await self.sweep_now()
                await self.save_seen()
            except (RedisError, *LOST) as error:
                log.warning("presence sweep failed", error=repr(error)[:200])

    async def sweep_now(self) -> None:
        while expired := await self._index.take_expired():
            await self._publish_changes(dict.fromkeys(expired, False))

    async def save_seen(self) -> None:
        """Raises one of LOST, and keeps what it could not store."""
        seen = dict(islice(self._seen.items(), MAX_STORED))
        if not seen:
            return
        for user_id in seen:
            del self._seen[user_id]
        rows = upsert(UserLastSeen).values([{"user_id": id, "seen_at": at} for id, at in sorted(seen.items())])
        later = func.greatest(UserLastSeen.seen_at, rows.excluded.seen_at)
        statement = rows.on_conflict_do_update(index_elements=["user_id"], set_={"seen_at": later})
        try:
            async with self._database.transaction() as connection:
                await connection.execute(statement)
        except LOST:
            self._seen = {**seen, **self._seen}
            raise

    def forget(self, user_id: int) -> None:
        """Their account was deleted: when they are seen to leave, which takes a minute, is not stored any more.

        What another process stores meanwhile goes when the deletion is announced again, an hour later.
        """
        self._erased.put(user_id, True)
        self._seen.pop(user_id, None)

    async def batch_get(self, caller: Caller, user_ids: Sequence[int]) -> list[UserPresence]:
        """The presence of the caller, and of their friends and users who share a group with them, as far as these show
        it. Others are left out.

        Raises BatchTooLarge, SocialUnavailable.
        """
        check_batch(user_ids, MAX_BATCH)
        asked = list(dict.fromkeys(user_ids))
        checks = await self._permissions.check_friends(caller.user_id, asked, fresh=True)
        visible = await self._visible(caller, asked, checks)
        if not visible:
            return []
        try:
            online = await self._index.among(visible)
        except RedisError:
            return []
        seen_at = await self._last_seen(visible)
        told = {id for id in visible if id == caller.user_id or checks[id].sees_last_login}
        return [UserPresence(id, id in online, milliseconds(seen_at.get(id)) if id in told else 0) for id in visible]

    async def _last_seen(self, user_ids: list[int]) -> dict[int, datetime]:
        query = select(UserLastSeen.__table__).where(UserLastSeen.user_id.in_(user_ids))
        async with self._database.transaction() as connection:
            stored = {row.user_id: row.seen_at for row in await connection.execute(query)}
        return stored | {id: self._seen[id] for id in user_ids if id in self._seen}

    async def _visible(self, caller: Caller, user_ids: list[int], checks: Mapping[int, FriendCheck]) -> list[int]:
        """Those of the users whose presence the caller may see."""
        friends = {id for id, check in checks.items() if check.sees_presence}
        others = [id for id in user_ids if id not in friends and checks[id].presence_is_public]
        values = {"user_id": caller.user_id, "others": others}
        async with self._database.transaction() as connection:
            sharing = set((await connection.execute(SHARING_A_GROUP, values)).scalars()) if others else set[int]()
        return [id for id in user_ids if id in friends or id in sharing or id == caller.user_id]
