"""The token bucket: the same arithmetic in Valkey and in this process."""

import random

from redis.asyncio import Redis

from gateway.http.limits.gcra import TAKE, Bucket
from services.valkey.client import open_redis
from tests.support.servers import Servers

KEY = "bucket-of-these-tests"


async def now_of(redis: Redis) -> int:
    """Microseconds."""
    seconds, microseconds = await redis.time()
    return int(seconds) * 1_000_000 + int(microseconds)


async def test_valkey_and_this_process_decide_alike(servers: Servers) -> None:
    dice = random.Random(11)
    async with open_redis(servers.redis_url) as redis:
        take = redis.register_script(TAKE)
        for _ in range(200):
            interval, capacity = dice.choice([1_000_000, 3_000_000, 15_000_000]), dice.choice([1, 2.5, 4, 40])
            now = await now_of(redis)
            full_at = now + dice.randrange(-2, 2 * int(capacity) + 2) * interval
            await redis.set(KEY, full_at)
            (wait,) = await take(keys=[KEY], args=[interval, capacity])
            full_here, wait_here = Bucket(interval, capacity).take(full_at, now)
            passed = await now_of(redis) - now  # at most so much less has to be waited for
            if wait:
                assert wait_here - passed <= wait <= wait_here + 1
                assert int(await redis.get(KEY) or 0) == full_at, "a refused attempt changes nothing"
            elif wait_here <= 0:
                assert full_here <= int(await redis.get(KEY) or 0) <= full_here + passed
            else:
                assert wait_here <= passed, "the token came while we asked"
        await redis.delete(KEY)


def test_a_bucket_gives_its_burst_and_then_one_token_per_interval() -> None:
    bucket, full_at, passed = Bucket(15, 4), 0.0, []
    for second in range(60):
        new_full_at, wait = bucket.take(full_at, 1_000 + second)
        if wait <= 0:
            full_at = new_full_at
            passed.append(second)
    assert passed == [0, 1, 2, 3, 15, 30, 45]
