"""Who is online: who made a request within the last minute. Kept in Valkey, for all gateways together.

One sorted set, users scored by when they were last seen (Unix microseconds), so that both "a page of who is
online" and "which of these are" take one call. With Valkey away nobody is known to be online.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from itertools import islice
from typing import Any, NamedTuple

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from gateway.cache.near_cache import NearCache
from services.kit.cursor import CursorInvalid, decode_cursor, encode_cursor

KEY = "presence"
ONLINE = 60.0  # seconds since one was last seen
TOUCH_EVERY = 20.0  # seconds between two writes of one user by one gateway
FLUSH_EVERY = 1.0
RETRY_REDIS = 1.0
CHUNK = 1_000  # users in one write
MAX_KNOWN, MAX_WAITING = 50_000, 20_000  # users
PAGE_TTL, MAX_PAGES = 1.0, 100

log = structlog.get_logger("presence")


class Place(NamedTuple):
    """Where in the list a page begins, and how long it may be."""

    cursor: str
    offset: int
    limit: int


class Page(NamedTuple):
    user_ids: Sequence[int]
    next_cursor: str


class Presence:
    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        # When each user was written, in the loop's time, and when he was seen after that (0: not).
        self._known: OrderedDict[int, tuple[float, int]] = OrderedDict()
        self._waiting: dict[int, int] = {}
        self._fresh = asyncio.Event()
        self._pages = NearCache(self._read_pages, PAGE_TTL, MAX_PAGES)
        self._redis_back_at = 0.0

    def touch(self, user_id: int) -> None:
        """He is here now. Costs the request no wait: the write is made behind it."""
        seen = time.time_ns() // 1_000
        known = self._known.get(user_id)
        if known:
            self._known[user_id] = (known[0], seen)
        else:
            self._write_soon(user_id, seen)
            self._fresh.set()

    async def page(self, cursor: str, offset: int, limit: int) -> Page:
        """Who is online, the last seen first; up to a second old. Raises CursorInvalid."""
        if cursor:
            _score_of(cursor)
        return await self._pages.load(Place(cursor, offset, limit)) or Page((), "")

    async def online_of(self, user_ids: Sequence[int]) -> set[int]:
        """Those of the users who are online."""
        if not user_ids or self._is_away():
            return set()
        try:
            scores = await self._redis.zmscore(KEY, [str(user_id) for user_id in user_ids])
        except (RedisError, OSError, TimeoutError) as error:
            self._went_away(error)
            return set()
        least = _least_score()
        return {user_id for user_id, score in zip(user_ids, scores, strict=True) if score and score > least}

    @asynccontextmanager
    async def flushing(self) -> AsyncIterator[None]:
        """Writes what is touched while the block runs."""
        flushing = asyncio.create_task(self._flush_for_ever())
        try:
            yield
        finally:
            flushing.cancel()

    async def _flush_for_ever(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(FLUSH_EVERY):
                    await self._fresh.wait()
            self._fresh.clear()
            self._renew()
            if self._waiting and not await self._flush():
                await asyncio.sleep(RETRY_REDIS)

    def _write_soon(self, user_id: int, seen: int) -> None:
        if len(self._waiting) < MAX_WAITING:
            self._waiting[user_id] = seen
        self._known[user_id] = (asyncio.get_running_loop().time(), 0)
        if len(self._known) > MAX_KNOWN:
            self._known.popitem(last=False)

    def _renew(self) -> None:
        """Of those written long enough ago: who was seen since is written anew, who was not is forgotten."""
        due = asyncio.get_running_loop().time() - TOUCH_EVERY
        while self._known and next(iter(self._known.values()))[0] <= due:
            user_id, (_, seen) = self._known.popitem(last=False)
            if seen:
                self._write_soon(user_id, seen)

    async def _flush(self) -> bool:
        batch = dict(islice(self._waiting.items(), CHUNK))
        for user_id in batch:
            del self._waiting[user_id]
        if len(batch) == CHUNK:
            self._fresh.set()  # more may wait
        try:
            async with self._redis.pipeline(transaction=False) as pipeline:
                pipeline.zremrangebyscore(KEY, "-inf", _least_score())
                pipeline.zadd(KEY, {str(user_id): seen for user_id, seen in batch.items()}, gt=True)
                _, came = await pipeline.execute()
        except (RedisError, OSError, TimeoutError) as error:
            self._went_away(error)
            self._waiting = dict(islice((batch | self._waiting).items(), MAX_WAITING))
            return False
        if came:
            self._pages.clear()
        return True

    async def _read_pages(self, places: Iterable[Place]) -> Mapping[Place, Page]:
        return {place: await self._read_page(place) for place in places}

    async def _read_page(self, place: Place) -> Page:
        newest = f"({_score_of(place.cursor)}" if place.cursor else "+inf"
        if self._is_away():
            return Page((), "")
        try:
            rows: Any = await self._redis.zrange(
                KEY,
                newest,
                f"({_least_score()}",
                desc=True,
                byscore=True,
                offset=place.offset,
                num=place.limit + 1,
                withscores=True,
            )
        except (RedisError, OSError, TimeoutError) as error:
            self._went_away(error)
            return Page((), "")
        page = rows[: place.limit]
        next_cursor = encode_cursor(int(page[-1][1])) if len(rows) > place.limit else ""
        return Page([int(user_id) for user_id, _ in page], next_cursor)

    def _is_away(self) -> bool:
        return asyncio.get_running_loop().time() < self._redis_back_at

    def _went_away(self, error: Exception) -> None:
        self._redis_back_at = asyncio.get_running_loop().time() + RETRY_REDIS
        log.warning("nobody is known online", error=repr(error)[:200])


def _least_score() -> int:
    return int((time.time() - ONLINE) * 1e6)


def _score_of(cursor: str) -> int:
    position = decode_cursor(cursor, tuple[int])
    if position is None or not 0 <= position[0] < 2**63:
        raise CursorInvalid
    return position[0]
