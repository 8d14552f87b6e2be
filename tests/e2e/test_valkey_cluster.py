"""What uses Valkey, on a Valkey Cluster of three servers (docs/adr/0081-valkey-cluster.md)."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator

import pytest
from redis.asyncio import Redis
from redis.exceptions import RedisError

from deploy.doctor.servers import check_valkey
from gateway.http.errors import TooManyRequests
from gateway.http.limits.rate_limits import RateLimiter, per_minute
from services.chat.config import ChatSettings
from services.chat.online import OnlineIndex
from services.chat.tickets import NO_HOLDER, Holder, Tickets
from services.media.files import refusals
from services.media.videos import views
from services.media.videos.views import ViewKey
from services.user.errors import CodeInvalid
from services.user.proofs.codes import Codes
from services.valkey import client as redis_client
from services.valkey.client import open_redis
from services.valkey.cluster import TAGS
from tests.deploy.test_doctor import deploy, settled
from tests.support.servers import temporary_folder
from tests.support.social import new_user, new_users
from tests.support.valkey_cluster import ValkeyCluster, valkey_cluster


@pytest.fixture(scope="module")
def cluster() -> Iterator[ValkeyCluster]:
    with temporary_folder() as folder, valkey_cluster(folder) as cluster:
        yield cluster


@pytest.fixture
async def redis(cluster: ValkeyCluster, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Redis]:
    """Patient, for a busy machine."""
    monkeypatch.setattr(redis_client, "TIMEOUT", 20.0)
    async with open_redis(cluster.url) as redis:
        yield redis


async def passes(limiter: RateLimiter, client: str) -> bool:
    try:
        await limiter.take("/r", per_minute(4), client)
    except TooManyRequests:
        return False
    return True


async def test_gateways_share_the_buckets_of_clients_on_all_servers(redis: Redis, cluster: ValkeyCluster) -> None:
    limiters, clients = [RateLimiter(redis, 1.0) for _ in range(2)], [f"10.0.0.{number}" for number in range(100)]
    tries = [(limiters[number % 2], client) for number in range(6) for client in clients]
    passed = await asyncio.gather(*(passes(limiter, client) for limiter, client in tries))
    taken = [client for (_, client), one in zip(tries, passed, strict=True) if one]
    assert {client: taken.count(client) for client in clients} == dict.fromkeys(clients, 4)
    for node in cluster.nodes:
        with cluster.client_of(node) as client:
            assert client.keys("limit:*"), "this server has none of them"


async def test_codes(redis: Redis) -> None:
    codes, address = Codes(redis, "secret"), f"{new_user()}+tag@example.com"
    await codes.discard(address, await codes.create(address, ip="10.0.0.1"), ip="10.0.0.1")
    code = await codes.create(address)
    await codes.redeem(address, code)
    with pytest.raises(CodeInvalid):
        await codes.redeem(address, code)


async def test_tickets(redis: Redis) -> None:
    settings = ChatSettings(
        internal_secret="", nats_url="", redis_url="", postgres_url="", grpc_port=0, metrics_port=0, jwt_secret="s" * 32
    )
    tickets, holders = Tickets(settings, redis), [Holder(user, 1) for user in new_users(30)]
    created = await tickets.create(holders)
    assert await tickets.redeem([*created, "forged"]) == [*holders, NO_HOLDER]
    assert await tickets.redeem(created) == [NO_HOLDER] * 30


async def test_users_online_are_on_all_servers_and_in_one_list(redis: Redis) -> None:
    now = time.time()
    index, users = OnlineIndex(redis, lambda: now), new_users(60)
    ends = {user: {"socket": now + 90 - number * 1e-3} for number, user in enumerate(users)}
    assert {change async for change in index.refresh(ends)} == {(user, True) for user in users}
    assert len(await redis.keys("chat:online*", target_nodes="primaries")) > len(TAGS) / 2
    assert await index.among([*users, new_user()]) == set(users)
    first = await index.page("", 5, 20)
    second = await index.page(first.next_cursor, 0, 50)
    assert first.user_ids + second.user_ids == users[5:]
    assert [change async for change in index.refresh({users[0]: {"socket": None}})] == [(users[0], False)]
    now += 90
    assert set(await index.take_expired()) == set(users[1:])
    assert await index.take_expired() == []


async def test_views_and_refused_files(redis: Redis) -> None:
    user = new_user()
    keys = [ViewKey(user, video) for video in range(20)]
    assert all([await views.is_first(redis, key) for key in keys])
    await views.forget(redis, keys[1:])
    assert [await views.is_first(redis, key) for key in keys[:3]] == [False, True, True]
    for size in (10, 20):
        await refusals.count_refusal(redis, user, size)
    assert await refusals.refused_today(redis, user) == refusals.Refused(2, 30)


async def test_the_doctor_uses_it(cluster: ValkeyCluster) -> None:
    assert "Valkey" in await check_valkey(await settled(deploy(HITOK_REDIS_URL=cluster.url)))


async def test_more_commands_than_connections_wait(cluster: ValkeyCluster) -> None:
    async with open_redis(cluster.url, connections=2) as redis:
        assert all(await asyncio.gather(*(redis.set(f"key{number}", "x") for number in range(50))))


async def test_a_server_that_dies_takes_only_its_own_keys_away(cluster: ValkeyCluster) -> None:
    node = cluster.nodes[0]
    async with open_redis(cluster.url) as redis:
        limiter, keys = RateLimiter(redis, 1.0), [f"key{number}" for number in range(30)]
        node.kill()
        try:
            answers = await asyncio.gather(*(redis.set(key, "x") for key in keys), return_exceptions=True)
            failed = [answer for answer in answers if isinstance(answer, BaseException)]
            assert failed
            assert all(isinstance(error, RedisError) for error in failed)
            assert [await passes(limiter, "10.0.1.1") for _ in range(6)].count(True) <= 8
        finally:
            node.start()
            await asyncio.to_thread(cluster.wait_until_ready)
        assert all([await redis.set(key, "x") for key in keys])


async def test_without_any_server_it_starts_and_says_that_valkey_is_lost() -> None:
    async with open_redis("redis+cluster://127.0.0.1:1,127.0.0.1:2") as redis:
        with pytest.raises(RedisError):
            await redis.get("key")
        with pytest.raises(RedisError):
            async with redis.pipeline(transaction=False) as pipeline:
                pipeline.get("key")
                await pipeline.execute()
