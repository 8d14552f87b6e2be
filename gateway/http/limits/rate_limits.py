"""Rate limits: token buckets in Valkey, shared by all gateways. Requests of one moment take theirs in one call."""

import asyncio
from collections.abc import Callable, Iterator
from itertools import repeat
from time import monotonic
from typing import NamedTuple

import structlog
from prometheus_client import Counter, Gauge
from redis.asyncio import Redis
from redis.exceptions import RedisError

from gateway.http.errors import TooManyRequests
from gateway.http.limits.gcra import TAKE, Bucket
from services.kit.batcher import Batcher
from services.kit.ttl_map import TtlMap
from services.valkey.cluster import choose_tag, hash_tags

REMEMBERED = 20_000  # buckets in this process: refusals in force, and what is limited here while Valkey is away
RETRY_REDIS = 1.0  # seconds without asking a Valkey that failed

REFUSED = Counter("hitok_rate_limited", "Requests refused by a rate limit", ["route"])
ALONE = Gauge("hitok_rate_limits_alone", "1 while this gateway limits by itself because Valkey is away")
log = structlog.get_logger("limits")


class RateLimit(NamedTuple):
    """`refill` tokens every `seconds`, and at most `burst` tokens in the bucket."""

    refill: float
    seconds: float
    burst: float

    @property
    def text(self) -> str:
        return f"{self.refill:g} every {self.seconds:g} s, burst {self.burst:g}"

    def bucket(self, scale: float) -> Bucket:
        """`scale`: the setting `rate_limit_scale`; not 0."""
        return Bucket(self.seconds / self.refill / scale, max(self.burst * scale, 1))


class _Token(NamedTuple):
    """What a request takes from one bucket."""

    tag: str
    key: str
    bucket: Bucket


def per_second(refill: int, burst: int) -> RateLimit:
    return RateLimit(refill, 1, burst)


def per_minute(refill: int, burst: int | None = None) -> RateLimit:
    return RateLimit(refill, 60, burst or refill)


def declare(route: str) -> None:
    """Shows the route's count of refusals from the start: an alert sees no increase in a series that begins with 1."""
    REFUSED.labels(route)


class RateLimiter:
    """While Valkey is away each gateway limits by itself: looser, but never open."""

    def __init__(self, redis: Redis, scale: float, clock: Callable[[], float] = monotonic) -> None:
        self._scale, self._clock = scale, clock
        self._take, self._tags = redis.register_script(TAKE), hash_tags(redis)
        self._taking: Batcher[_Token, int] = Batcher(self._take_all, name="take tokens")
        self._refused_until: TtlMap[str, float] = TtlMap(0, REMEMBERED, clock)
        self._full_at: TtlMap[str, float] = TtlMap(0, REMEMBERED, clock)  # of the buckets in this process
        self._redis_back_at = 0.0  # 0: it answers
        ALONE.set_function(lambda: self._redis_back_at > 0)

    async def take(self, route: str, limit: RateLimit, client: str) -> None:
        """Takes a token of the client's bucket for the route. Raises TooManyRequests with the time to wait."""
        if not self._scale:
            return
        tag = choose_tag(self._tags, client)
        key = f"limit:{tag}{route}:{client}"
        refused_until = self._refused_until.get(key)
        if refused_until is not None:
            wait = refused_until - self._clock()
        elif (wait := await self._ask(_Token(tag, key, limit.bucket(self._scale)))) > 0:
            # Until then this bucket has no token for anybody, so Valkey need not be asked again. The wait counts from
            # the answer, not from the question: clients that come when they were told to would be early by the trip.
            until = self._clock() + wait
            self._refused_until.put(key, until, until)
        if wait > 0:
            REFUSED.labels(route).inc()
            raise TooManyRequests(retry_after=wait)

    async def _ask(self, token: _Token) -> float:
        """Seconds until there is a token; 0 or less: it was taken."""
        now = self._clock()
        if now >= self._redis_back_at:
            if self._redis_back_at:  # it failed: this request tries it again, the others do not wait for the outcome
                self._redis_back_at = now + 2 * RETRY_REDIS
            try:
                wait = await self._taking.submit(token)
                self._redis_back_at = 0.0
                return wait / 1e6
            except (RedisError, OSError, TimeoutError) as error:
                self._redis_back_at = self._clock() + RETRY_REDIS
                log.warning("Valkey is away: this gateway limits by itself", error=repr(error)[:200])
        full_at, wait_here = token.bucket.take(self._full_at.get(token.key, now), now)
        if wait_here <= 0:
            self._full_at.put(token.key, full_at, full_at)
        return wait_here

    async def _take_all(self, wanted: list[_Token]) -> list[int | BaseException]:
        """Microseconds until there is a token, for each; 0: it was taken. In a cluster, one call for each hash tag."""
        groups: dict[str, list[_Token]] = {}
        for token in wanted:
            groups.setdefault(token.tag, []).append(token)
        if len(groups) == 1:
            return list(await self._take_together(wanted))
        taken = await asyncio.gather(*map(self._take_together, groups.values()), return_exceptions=True)
        waits: dict[str, Iterator[int | BaseException]] = {
            tag: repeat(answer) if isinstance(answer, BaseException) else iter(answer)
            for tag, answer in zip(groups, taken, strict=True)
        }
        return [next(waits[token.tag]) for token in wanted]

    async def _take_together(self, wanted: list[_Token]) -> list[int]:
        buckets = (token.bucket for token in wanted)
        args = [part for each in buckets for part in (max(round(each.interval * 1e6), 1), each.capacity)]
        waits: list[int] = await self._take(keys=[token.key for token in wanted], args=args)
        return waits
