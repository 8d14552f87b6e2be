"""Rate limits: the documented numbers, kept exactly, over all gateways, and by each alone while Valkey is away."""

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import httpx
import pytest

from deploy.local.servers.valkey import Valkey
from gateway.http.errors import TooManyRequests
from gateway.http.limits.rate_limits import RETRY_REDIS, RateLimit, RateLimiter, per_minute
from services.kit.context import network_of
from services.valkey import client as redis_client
from services.valkey.client import open_redis
from tests.gateway.people import Person, by_email
from tests.gateway.routes import ENDPOINTS
from tests.support.clock import Clock
from tests.support.gateway import (
    FrontEnd,
    RunningGateway,
    client_of,
    gateway_settings,
    refusal_of,
    running_gateway,
    serving_gateway,
)
from tests.support.servers import Servers, frozen, private_valkey, temporary_folder
from tests.support.user import Running, new_name, running_user_service, user_settings

DOCUMENTED = {
    "/api/login/send-code": RateLimit(4, 60, 4),
    "/api/login/register": RateLimit(4, 60, 4),
    "/api/login/login": RateLimit(4, 60, 4),
    "/api/login/refresh-token": RateLimit(8, 4, 8),
    "/api/user/get-user-info": RateLimit(20, 1, 40),
    "/api/user/get-my-info": RateLimit(5, 1, 10),
    "/api/user/get-profile": RateLimit(10, 1, 20),
    "/api/user/set-profile": RateLimit(4, 1, 8),
    "/api/user/set-role": RateLimit(4, 1, 8),
}
LOGIN = {"email": "nobody@example.com", "password": "123456"}
FOUR = per_minute(4)
_ips = (f"10.{a}.{b}.1" for a, b in itertools.product(range(256), repeat=2))


def new_ip() -> str:
    """A client whose buckets are full."""
    return next(_ips)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine may stop the process for longer than a gateway waits for Valkey before it limits alone."""
    monkeypatch.setattr(redis_client, "TIMEOUT", 20.0)


@pytest.fixture
async def limiter(servers: Servers, clock: Clock, patience: None) -> AsyncIterator[RateLimiter]:
    async with open_redis(servers.redis_url) as redis:
        yield RateLimiter(redis, 1.0, clock)


@pytest.fixture
async def other_limiter(servers: Servers, clock: Clock, patience: None) -> AsyncIterator[RateLimiter]:
    """In another gateway."""
    async with open_redis(servers.redis_url) as redis:
        yield RateLimiter(redis, 1.0, clock)


async def advance(clock: Clock, seconds: float, servers: Servers, who: str, route: str = "/r") -> None:
    """As if so much time had passed, for the bucket in Valkey too, whose clock nobody moves."""
    clock.advance(seconds)
    key = f"limit:{route}:{who}"
    async with open_redis(servers.redis_url) as redis:
        if full_at := await redis.get(key):
            await redis.set(key, int(full_at) - round(seconds * 1e6), keepttl=True)


@pytest.fixture(scope="module")
async def limited(servers: Servers, user: Running) -> AsyncIterator[RunningGateway]:
    settings = gateway_settings(servers, HITOK_USER_TARGET=user.target, HITOK_RATE_LIMIT_SCALE="1")
    async with running_gateway(settings) as running:
        yield running


async def take(limiter: RateLimiter, limit: RateLimit, who: str, route: str = "/r") -> float:
    """0, or the seconds to wait."""
    try:
        await limiter.take(route, limit, who)
    except TooManyRequests as error:
        assert error.retry_after
        return error.retry_after
    return 0


async def count_passed(limit: RateLimit, who: str, calls: int, *limiters: RateLimiter) -> int:
    """Of `calls` at once, dealt out to the limiters."""
    dealt = itertools.islice(itertools.cycle(limiters), calls)
    return (await asyncio.gather(*(take(limiter, limit, who) for limiter in dealt))).count(0)


@pytest.mark.parametrize("path", DOCUMENTED)
def test_a_documented_route_has_its_documented_limit(path: str) -> None:
    assert [endpoint.limit for endpoint in ENDPOINTS if path in endpoint.paths] == [DOCUMENTED[path]]


def test_no_route_is_without_a_limit() -> None:
    assert all(endpoint.limit.burst >= 1 and endpoint.limit.refill > 0 for endpoint in ENDPOINTS)
    passwords = [endpoint for endpoint in ENDPOINTS if "password" in str(endpoint.params.__annotations__)]
    assert len(passwords) >= 8
    assert all(endpoint.limit.refill / endpoint.limit.seconds <= 0.5 for endpoint in passwords)


async def test_of_fifty_at_once_exactly_four_pass(limiter: RateLimiter) -> None:
    assert await count_passed(FOUR, new_ip(), 50, limiter) == 4


async def test_of_fifty_at_once_exactly_four_pass_two_gateways(
    limiter: RateLimiter, other_limiter: RateLimiter
) -> None:
    assert await count_passed(FOUR, new_ip(), 50, limiter, other_limiter) == 4


async def test_a_burst_larger_than_the_refill_passes_whole(limiter: RateLimiter) -> None:
    assert await count_passed(per_minute(20, 40), new_ip(), 100, limiter) == 40


async def test_a_token_comes_back_when_the_wait_is_over(
    limiter: RateLimiter, other_limiter: RateLimiter, clock: Clock, servers: Servers
) -> None:
    limit, who = RateLimit(2, 60, 4), new_ip()
    assert await count_passed(limit, who, 10, limiter) == 4
    wait = await take(limiter, limit, who)
    assert 20 < wait <= 30

    await advance(clock, wait / 2, servers, who)
    assert await count_passed(limit, who, 10, limiter, other_limiter) == 0
    await advance(clock, wait / 2, servers, who)

    assert await count_passed(limit, who, 10, limiter, other_limiter) == 1
    await advance(clock, 150, servers, who)
    assert await count_passed(limit, who, 20, limiter, other_limiter) == 4, "no more than the bucket holds"


async def test_each_route_and_each_client_has_a_bucket_of_its_own(limiter: RateLimiter) -> None:
    first, second = new_ip(), new_ip()
    assert await count_passed(FOUR, first, 5, limiter) == 4
    assert await count_passed(FOUR, second, 5, limiter) == 4
    assert await take(limiter, FOUR, first, "/other") == 0


async def test_the_scale_loosens_tightens_or_turns_off_all(servers: Servers, patience: None) -> None:
    async with open_redis(servers.redis_url) as redis:
        for scale, passed in ((0.5, 2), (3, 12), (0.001, 1), (0, 50), (1e9, 50)):
            assert await count_passed(FOUR, new_ip(), 50, RateLimiter(redis, scale)) == passed, scale


async def test_a_bucket_expires_when_it_is_full_again(limiter: RateLimiter, servers: Servers) -> None:
    who = new_ip()
    await limiter.take("/r", FOUR, who)

    async with open_redis(servers.redis_url) as redis:
        assert 14_000 < await redis.pttl(f"limit:/r:{who}") <= 15_000


async def test_a_refusal_is_remembered_without_asking_again(servers: Servers, patience: None) -> None:
    async with open_redis(servers.redis_url) as redis:
        limiter, who = RateLimiter(redis, 1.0), new_ip()
        assert await count_passed(FOUR, who, 6, limiter) == 4
        await redis.delete(f"limit:/r:{who}")
        assert await take(limiter, FOUR, who) > 10


def test_an_address_of_ip_6_counts_with_its_network() -> None:
    assert network_of("2001:db8:1:2:3:4:5:6") == network_of("2001:db8:1:2::1") != network_of("2001:db8:1:3::1")
    assert network_of("::ffff:10.0.0.1") != network_of("::ffff:10.0.0.2")
    assert network_of("10.0.0.1") != network_of("10.0.0.2")
    assert network_of("no address") == "no address"


async def statuses(front: FrontEnd, method: str, path: str, calls: int, **options: object) -> Counter[int]:
    answers = await asyncio.gather(*(front.call(method, path, **options) for _ in range(calls)))
    return Counter(answer.status_code for answer in answers)


async def test_a_visitor_is_limited_by_address(limited: RunningGateway) -> None:
    async with client_of(limited.app, new_ip()) as one, client_of(limited.app, new_ip()) as two:
        for http in (one, two):
            found = await statuses(FrontEnd(http), "POST", "/api/login/login", 10, json=LOGIN)
            assert found == {401: 4, 429: 6}


async def test_a_lie_about_the_address_changes_nothing(limited: RunningGateway) -> None:
    async with client_of(limited.app, new_ip()) as http:
        front, found = FrontEnd(http), Counter[int]()
        for number in range(8):
            headers = {"X-Forwarded-For": f"1.2.3.{number}", "Forwarded": f"for=1.2.3.{number}"}
            found += await statuses(front, "POST", "/api/login/login", 1, json=LOGIN, headers=headers)
        assert found == {401: 4, 429: 4}


async def test_a_user_is_limited_at_every_address_and_apart_from_others(limited: RunningGateway, user: Running) -> None:
    alice, bob = [await by_email(limited.http, user) for _ in range(2)]
    async with client_of(limited.app, new_ip()) as elsewhere:
        alice_elsewhere = FrontEnd(elsewhere, alice.token)
        fronts = [alice, alice_elsewhere] * 6
        began = time.monotonic()

        answers = await asyncio.gather(*(front.call("GET", "/api/user/sessions") for front in fronts * 5))

    found = Counter(answer.status_code for answer in answers)
    assert 40 <= found[200] <= 41 + (time.monotonic() - began) / 3, "a token comes every 3 s"
    assert found[429] == 60 - found[200]
    assert (await bob.call("GET", "/api/user/sessions")).status_code == 200


@pytest.mark.parametrize(
    ("path", "calls", "code", "longest"),
    [("/api/login/login", 5, -20007, 15), ("/api/v1/user/login", 61, 100006, 2), ("/api/v2/user/login", 61, 100006, 2)],
)
async def test_over_the_limit_the_answer_says_when_to_come_again(
    limited: RunningGateway, path: str, calls: int, code: int, longest: int
) -> None:
    async with client_of(limited.app, new_ip()) as http:
        front, passed, began = FrontEnd(http), 0, time.monotonic()
        while (response := await front.call("POST", path, json={})).status_code == 400:
            passed += 1  # bad parameters count, too
    assert refusal_of(path, response) == (429, code)
    assert calls - 1 <= passed <= calls + (time.monotonic() - began) / longest, "a token comes every `longest` s"
    assert 1 <= int(response.headers["retry-after"]) <= longest


async def test_two_paths_of_one_route_share_a_bucket(limited: RunningGateway) -> None:
    async with client_of(limited.app, new_ip()) as http:
        front, began, more = FrontEnd(http), time.monotonic(), 0
        found = await statuses(front, "POST", "/api/v1/user/login", 60, json={})
        assert found == {400: 60}
        while (await front.call("POST", "/api/v2/user/login", json={})).status_code != 429:
            more += 1
        assert more <= (time.monotonic() - began) / 2, "a token comes every 2 s"


async def test_a_limit_holds_over_two_gateways(limited: RunningGateway, user: Running) -> None:
    ip = new_ip()
    async with running_gateway(limited.container.settings, ip) as second, client_of(limited.app, ip) as first:
        found = await asyncio.gather(
            *(statuses(FrontEnd(http), "POST", "/api/login/login", 25, json=LOGIN) for http in (first, second.http))
        )
    assert found[0] + found[1] == {401: 4, 429: 46}


async def test_a_trusted_proxy_is_believed_about_the_address(servers: Servers, user: Running) -> None:
    settings = {"HITOK_USER_TARGET": user.target, "HITOK_RATE_LIMIT_SCALE": "1"}
    for trusted, passed in (("127.0.0.1", 6), ("10.0.0.0/8", 4), ("", 4)):
        trusting = gateway_settings(servers, **settings, HITOK_TRUSTED_PROXIES=trusted)
        async with open_redis(servers.redis_url) as redis:
            await redis.delete("limit:/api/login/login:127.0.0.1")
        async with serving_gateway(trusting) as (_, url), httpx.AsyncClient(base_url=url) as http:
            found = Counter[int]()
            for _ in range(6):
                headers = {"X-Forwarded-For": new_ip()}
                found += await statuses(FrontEnd(http), "POST", "/api/login/login", 1, json=LOGIN, headers=headers)
        assert found[401] == passed, trusted


class Island(NamedTuple):
    """A gateway and a user service on a Valkey that can be taken from them."""

    valkey: Valkey
    user: Running
    gateway: RunningGateway
    alice: Person


@pytest.fixture
async def island(servers: Servers) -> AsyncIterator[Island]:
    with temporary_folder() as folder, private_valkey(folder) as valkey:
        settings = user_settings(servers.create_database(new_name()), servers, folder, HITOK_REDIS_URL=valkey.url)
        async with running_user_service(settings) as user:
            theirs = {"HITOK_USER_TARGET": user.target, "HITOK_REDIS_URL": valkey.url}
            limits_on = gateway_settings(servers, **theirs, HITOK_RATE_LIMIT_SCALE="1")
            async with running_gateway(limits_on, new_ip(), redis_client.TIMEOUT) as gateway:
                yield Island(valkey, user, gateway, await by_email(gateway.http, user))


async def test_without_valkey_requests_work_within_limits_and_codes_say_503(island: Island) -> None:
    valkey, _, gateway, alice = island
    visitor = FrontEnd(gateway.http)
    await alice.get("/api/user/get-my-info")
    valkey.kill()

    began = time.monotonic()
    await alice.get("/api/user/get-my-info")
    assert time.monotonic() - began < 3
    found = await statuses(visitor, "POST", "/api/login/login", 50, json=LOGIN)
    assert found == {401: 4, 429: 46}, "each gateway limits by itself"
    response = await visitor.refused("POST", "/api/login/send-code", 503, 60005, json={"email": "a@example.com"})
    assert response.headers["retry-after"] == "1"
    body = {"email": "a@example.com", "code": "123456", "password": "123456", "username": new_name()}
    await visitor.refused("POST", "/api/login/register", 503, 60005, json=body)

    valkey.start()
    async with open_redis(valkey.url) as redis, asyncio.timeout(30):
        while gateway.container.limiter._redis_back_at:
            await alice.get("/api/user/get-my-info")
            await asyncio.sleep(0.3)
        await visitor.post("/api/login/send-code", email="a@example.com")
        assert await redis.keys("limit:/api/login/send-code:*"), "limits are shared again"


async def test_a_frozen_valkey_costs_a_request_no_more_than_a_second(
    island: Island, monkeypatch: pytest.MonkeyPatch
) -> None:
    valkey, _, gateway, alice = island
    asked, limiter = 0, gateway.container.limiter
    ask = limiter._take

    async def count(**options: Any) -> Any:
        nonlocal asked
        asked += 1
        return await ask(**options)

    monkeypatch.setattr(limiter, "_take", count)
    usual = max(await asyncio.gather(*(seconds_of(alice) for _ in range(5))))
    with frozen(valkey):
        seconds = await asyncio.gather(*(seconds_of(alice) for _ in range(9)))
        assert max(seconds) < 1.4 + 10 * usual
        # Then it is left alone for a while, and asked by one request at a time.
        began, asked, served = time.monotonic(), 0, 0
        while time.monotonic() - began < 2.5:
            await seconds_of(alice)
            served += 1
            await asyncio.sleep(0.2)
        assert asked <= 1 + (time.monotonic() - began) / RETRY_REDIS
        assert served > asked
        visitor = FrontEnd(gateway.http)
        await visitor.refused("POST", "/api/login/send-code", 503, 60005, json={"email": "a@example.com"})


async def seconds_of(front: FrontEnd) -> float:
    began = time.monotonic()
    await front.get("/api/user/get-my-info")
    return time.monotonic() - began
