"""The client for Valkey or Redis: one server, the one that Sentinels name, or a cluster. Each wait has a timeout."""

from typing import Any, cast
from urllib.parse import parse_qs, unquote, urlsplit

from redis.asyncio import Redis
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.connection import BlockingConnectionPool
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel, SentinelConnectionPool
from redis.backoff import NoBackoff

from services.valkey.cluster import Cluster

TIMEOUT = 0.5  # seconds; a slower cache is of no use


def open_redis(url: str, connections: int = 20) -> Redis:
    """Does not connect yet, so a process starts without the server.

    With `redis+sentinel://:password@host:port,host:port,…/0?service=name`, Sentinels that share the password with the
    servers name the one that is primary. A connection asks them anew whenever it connects. With
    `redis+cluster://:password@host:port,host:port,…` the servers are some of a cluster, and name the others.
    """
    waits = {"socket_timeout": TIMEOUT, "socket_connect_timeout": TIMEOUT}
    options: dict[str, Any] = {
        **waits,
        "health_check_interval": 15,
        "retry": Retry(NoBackoff(), 1),  # once: after a restart the pooled connections are dead
    }
    pooled = {"max_connections": connections, "timeout": TIMEOUT}
    parts = urlsplit(url)
    if "+" not in parts.scheme:
        return Redis.from_pool(BlockingConnectionPool.from_url(url, **options, **pooled))
    hosts = [host.rpartition(":") for host in parts.netloc.rpartition("@")[2].split(",")]
    addresses = [(host, int(port)) for host, _, port in hosts]
    login = {"password": unquote(parts.password or "") or None, "ssl": parts.scheme.startswith("rediss")}
    if parts.scheme.endswith("+cluster"):
        nodes = [ClusterNode(host, port) for host, port in addresses]
        return cast(Redis, Cluster(TIMEOUT, connections, startup_nodes=nodes, **login, **options))
    sentinels = Sentinel(addresses, sentinel_kwargs={**waits, **login})  # type: ignore[no-untyped-call]
    (service,) = parse_qs(parts.query).get("service", ["hitok"])
    options |= {**pooled, **login, "db": int(parts.path.strip("/") or 0)}
    pool = _SentinelPool(service, sentinels, **options)  # type: ignore[no-untyped-call]
    return Redis.from_pool(pool)


class _SentinelPool(SentinelConnectionPool, BlockingConnectionPool):
    """Connections to the primary that the Sentinels name; a caller waits for a free one, as with one server."""
