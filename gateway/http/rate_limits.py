"""Rate limits: token buckets (as GCRA) in Valkey, shared by all gateways, each decided in one atomic call."""

import asyncio
import ipaddress
from collections import OrderedDict
from typing import NamedTuple

import structlog
from prometheus_client import Counter, Gauge
from redis.asyncio import Redis
from redis.exceptions import RedisError

from gateway.http.errors import TooManyRequests

# KEYS[1] holds the bucket's "theoretical arrival time": when it would be full again, in microseconds.
# Returns 0 for a token, else the microseconds until there is one.
TAKE = """
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local interval, capacity = tonumber(ARGV[1]), tonumber(ARGV[2])
local full_at = math.max(tonumber(redis.call('GET', KEYS[1]) or now), now) + interval
local wait = full_at - now - interval * capacity
if wait > 0 then return math.ceil(wait) end
redis.call('SET', KEYS[1], string.format('%.0f', full_at), 'PX', math.ceil((full_at - now) / 1000))
return 0
"""

REMEMBERED = 20_000  # buckets in process: refusals still in force, and the fallback's
RETRY_REDIS = 1.0  # seconds without asking a Valkey that failed

REFUSED = Counter("hitok_rate_limited", "Requests refused by a rate limit", ["route"])
ALONE = Gauge("hitok_rate_limits_alone", "1 while this gateway limits by itself, for want of Valkey")
log = structlog.get_logger("limits")


class Limit(NamedTuple):
    """`refill` tokens every `seconds`, never more than `burst`."""

    refill: float
    seconds: float
    burst: float

    @property
    def text(self) -> str:
        return f"{self.refill:g} every {self.seconds:g} s, burst {self.burst:g}"


def declare(route: str) -> None:
    """That there is a limit on the route, though it refused nobody yet."""
    REFUSED.labels(route)


def per_second(refill: int, burst: int) -> Limit:
    return Limit(refill, 1, burst)


def per_minute(refill: int, burst: int | None = None) -> Limit:
    return Limit(refill, 60, burst or refill)


class Limiter:
    """With Valkey away each gateway limits by itself: looser, but never open."""

    def __init__(self, redis: Redis, scale: float) -> None:
        self._scale = scale
        self._take = redis.register_script(TAKE)
        self._refused: OrderedDict[str, float] = OrderedDict()
        self._buckets: OrderedDict[str, float] = OrderedDict()
        self._redis_back_at = 0.0  # 0: it answers
        ALONE.set_function(lambda: self._redis_back_at > 0)

    async def take(self, route: str, limit: Limit, who: str) -> None:
        """Takes a token of `who`'s bucket for `route`. Raises TooManyRequests with the time to wait."""
        if not self._scale:
            return
        key = f"limit:{route}:{who}"
        interval = limit.seconds / limit.refill / self._scale
        capacity = max(limit.burst * self._scale, 1)
        clock = asyncio.get_running_loop().time
        now = clock()
        wait = self._refused.get(key, 0.0) - now
        if wait <= 0 and (wait := await self._ask(key, interval, capacity, now)) > 0:
            # Until then nobody can get a token from this bucket: no need to ask again. Counted from the answer, not
            # from the question: who comes when he was told to would be early by that.
            _remember(self._refused, key, clock() + wait)
        if wait > 0:
            REFUSED.labels(route).inc()
            raise TooManyRequests(retry_after=wait)

    async def _ask(self, key: str, interval: float, capacity: float, now: float) -> float:
        if now >= self._redis_back_at:
            if self._redis_back_at:  # it failed: one request tries it again, and the others need not wait with it
                self._redis_back_at = now + 2 * RETRY_REDIS
            try:
                wait: int = await self._take(keys=[key], args=[max(round(interval * 1e6), 1), capacity])
                self._redis_back_at = 0.0
                return wait / 1e6
            except (RedisError, OSError, TimeoutError) as error:
                self._redis_back_at = asyncio.get_running_loop().time() + RETRY_REDIS
                log.warning("limiting in process", error=repr(error)[:200])
        full_at = max(self._buckets.get(key, now), now) + interval
        wait_here = full_at - now - interval * capacity
        if wait_here <= 0:
            _remember(self._buckets, key, full_at)
        return wait_here


def _remember(times: OrderedDict[str, float], key: str, time: float) -> None:
    times[key] = time
    times.move_to_end(key)
    if len(times) > REMEMBERED:
        times.popitem(last=False)


def network_of(ip: str) -> str:
    """The key for an anonymous client: its address, for IPv6 the /64 that one customer has to himself."""
    try:
        address = ipaddress.ip_address(ip)
    except ValueError:
        return ip
    if isinstance(address, ipaddress.IPv6Address) and not address.ipv4_mapped:
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)
