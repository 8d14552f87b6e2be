"""Valkey Cluster: the client, and the hash tags of keys that are used together (docs/adr/0081-valkey-cluster.md)."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Self
from zlib import crc32

from redis.asyncio import Redis, RedisCluster
from redis.exceptions import ConnectionError as RedisLost
from redis.exceptions import RedisClusterException

TAGS = tuple(f"{{{number}}}" for number in range(16))


def hash_tags(client: Redis) -> Sequence[str]:
    """A script may be given several keys only if they contain the same one of these; without a cluster it is empty.

    So the keys that are used together are on one server of a cluster, and all keys are spread over 16 slots.
    """
    return TAGS if isinstance(client, RedisCluster) else ("",)


def choose_tag(tags: Sequence[str], name: object) -> str:
    return tags[crc32(str(name).encode()) % len(tags)]


class Cluster(RedisCluster):
    """It connects when it is first used, a command waits for a free connection, and what it raises are RedisErrors."""

    def __init__(self, timeout: float, connections: int, **options: Any) -> None:
        """`timeout`: seconds to wait for a connection. `connections`: commands at a time; pipelines do not wait."""
        # The connections are to each server. Learning that slots moved must not close them.
        super().__init__(max_connections=2 * connections, reinitialize_steps=0, **options)
        self._timeout, self._free = timeout, asyncio.Semaphore(connections)

    async def __aenter__(self) -> Self:
        await self._increment_usage()
        return self

    async def initialize(self, *args: Any, **options: Any) -> Self:
        """Asks one server after the other which of them has which keys."""
        with _as_redis_errors():
            async with asyncio.timeout(2 * self._timeout):
                await super().initialize(*args, **options)
        return self

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        with _as_redis_errors():
            await asyncio.wait_for(self._free.acquire(), self._timeout)
            try:
                if self._initialize:  # else the first commands would go to servers that do not have their keys
                    await self.initialize()
                return await super().execute_command(*args, **options)
            finally:
                self._free.release()


@contextmanager
def _as_redis_errors() -> Iterator[None]:
    """The errors of a cluster that cannot be asked are no RedisErrors."""
    try:
        yield
    except (RedisClusterException, TimeoutError) as error:
        raise RedisLost(str(error) or "timed out") from error
