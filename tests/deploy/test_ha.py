"""The clusters of `deploy.local --ha`: their clients go on when the leading node is killed."""

import asyncio
import gc
import os
import signal
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TypeVar

import httpx
import psycopg
import pytest
from nats.errors import Error as NatsError
from redis.asyncio import Redis
from redis.exceptions import RedisError
from sqlalchemy import make_url

from deploy.local.backends import ADMIN_URL, NATS_URL, REDIS_URL, Topology
from deploy.local.databases import ensure_database
from deploy.local.ha.patroni import PatroniNode
from deploy.local.ha.topology import make_ha_topology
from deploy.local.ha.valkey_nodes import SERVICE, Sentinel
from deploy.local.servers.server import Server
from services.kit.db import driver_url
from services.kit.events.stream import STREAM, ensure_stream
from services.kit.nats import open_nats
from services.valkey.client import open_redis
from tests.support.servers import find_family

T = TypeVar("T")
SECRETS = dict.fromkeys(("etcd", "postgres", "valkey", "nats"), "secret")
PATIENCE = 90.0

# nats-py does not close the connections that it loses when a server is killed.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")


@pytest.fixture(autouse=True)
def _collected() -> Iterator[None]:
    """What a test leaves is collected before the next, where it would be an error."""
    yield
    gc.collect()


@contextmanager
def running(setting: str, folder: Path) -> Iterator[Topology]:
    """The servers of that setting, all healthy."""
    others = dict.fromkeys({ADMIN_URL, REDIS_URL, NATS_URL} - {setting}, "elsewhere")
    topology = make_ha_topology(others, folder, SECRETS)
    servers = topology.servers[setting]
    try:
        with ThreadPoolExecutor(len(servers)) as threads:
            list(threads.map(Server.start, servers, timeout=PATIENCE))
        yield topology
    finally:
        for server in sorted(servers, key=lambda server: not server.stops_first):
            server.stop()


async def at_last(call: Callable[[], Awaitable[T]]) -> T:
    """What the call returns once it no longer fails."""
    ends = time.monotonic() + PATIENCE
    while True:
        try:
            return await call()
        except (NatsError, RedisError, psycopg.Error, httpx.HTTPError, OSError, TimeoutError):
            assert time.monotonic() < ends
            await asyncio.sleep(0.1)


async def test_events_outlive_the_leader_of_their_stream(tmp_path: Path) -> None:
    with running(NATS_URL, tmp_path) as topology:
        async with open_nats(topology.url(NATS_URL), "test") as client:
            jetstream = client.jetstream(timeout=2)

            async def connected() -> None:
                if not client.is_connected:
                    raise TimeoutError

            await at_last(connected)
            await at_last(lambda: ensure_stream(client))
            await at_last(lambda: jetstream.publish("events.before", b"x", headers={"Nats-Msg-Id": "1"}))
            info = await jetstream.stream_info(STREAM)
            assert info.config.num_replicas == 3
            assert info.cluster
            next(node for node in topology.servers[NATS_URL] if node.name == info.cluster.leader).kill()
            await at_last(lambda: jetstream.publish("events.after", b"x", headers={"Nats-Msg-Id": "2"}))
            assert (await at_last(lambda: jetstream.stream_info(STREAM))).state.messages == 2


async def test_sentinels_put_the_replica_in_the_place_of_a_dead_primary(tmp_path: Path) -> None:
    with running(REDIS_URL, tmp_path) as topology:
        async with open_redis(topology.url(REDIS_URL)) as client:
            await at_last(lambda: client.set("before", "x"))

            async def is_copied() -> None:
                if not await client.wait(1, 400):
                    raise TimeoutError

            await at_last(is_copied)
            for sentinel in (node for node in topology.servers[REDIS_URL] if isinstance(node, Sentinel)):
                await at_last(partial(check_failover, sentinel.port))
            primary = await listening_port(client)
            next(node for node in topology.servers[REDIS_URL] if node.port == primary).kill()
            await at_last(lambda: client.set("after", "x"))
            assert await client.mget("before", "after") == [b"x", b"x"]
            assert await listening_port(client) != primary


async def check_failover(port: int) -> None:
    """A Sentinel looks for replicas every 10 s. Raises if it could not put one in the primary's place yet."""
    async with Redis(port=port, password="secret") as sentinel:
        await sentinel.execute_command("SENTINEL", "CKQUORUM", SERVICE)  # type: ignore[no-untyped-call]
        replicas = await sentinel.execute_command("SENTINEL", "REPLICAS", SERVICE)  # type: ignore[no-untyped-call]
        if not replicas:
            raise TimeoutError


async def listening_port(client: Redis) -> int:
    return int((await client.config_get("port"))["port"] or 0)


async def test_the_standby_takes_over_from_a_primary_that_crashed(tmp_path: Path) -> None:
    with running(ADMIN_URL, tmp_path) as topology:
        url = ensure_database(topology.url(ADMIN_URL), "hitok_user", "secret")
        assert make_url(driver_url(url)).query["target_session_attrs"] == "read-write"

        async def write(word: str) -> int:
            async with await psycopg.AsyncConnection.connect(url, connect_timeout=3) as connection:
                await connection.execute("CREATE TABLE IF NOT EXISTS words (word text)")
                await connection.execute("INSERT INTO words VALUES (%s)", [word])
                return connection.info.port

        nodes = [server for server in topology.servers[ADMIN_URL] if isinstance(server, PatroniNode)]

        async def may_take_over() -> None:
            async with httpx.AsyncClient() as http:
                members = (await http.get(f"{nodes[0].rest_url}/cluster")).json()["members"]
            if "sync_standby" not in {member["role"] for member in members}:
                raise TimeoutError

        await at_last(may_take_over)
        port = await write("before")
        primary = next(node for node in nodes if node.port == port)
        kill(primary)
        primary.start()  # as the supervisor does
        assert await at_last(lambda: write("after")) != primary.port
        async with await psycopg.AsyncConnection.connect(url) as connection:
            assert await (await connection.execute("SELECT word FROM words")).fetchall() == [("before",), ("after",)]


def kill(node: PatroniNode) -> None:
    """The machine of the node: PostgreSQL and its Patroni."""
    postmaster = int((node.data / "postmaster.pid").read_text().splitlines()[0])
    node.kill()
    for pid in find_family(postmaster):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
