"""The client for Valkey or Redis, with a timeout on each wait."""

from redis.asyncio import Redis
from redis.asyncio.connection import BlockingConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

TIMEOUT = 0.5  # seconds; a slower cache is of no use


def open_redis(url: str, connections: int = 20) -> "Redis":
    """Does not connect yet, so a process starts without the server."""
    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=connections,
        timeout=TIMEOUT,
        socket_timeout=TIMEOUT,
        socket_connect_timeout=TIMEOUT,
        health_check_interval=15,
        retry=Retry(NoBackoff(), 1),  # once: after a restart the pooled connections are dead
    )
    return Redis.from_pool(pool)
