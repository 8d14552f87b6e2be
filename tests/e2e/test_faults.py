"""What a front end sees while something behind the gateway is away, and afterwards."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import httpx
import pytest

from gateway.cache.hearing import SILENCE
from tests.e2e.people import Person, register
from tests.e2e.stack import Stack, running_stack
from tests.support.gateway import FrontEnd, refusal_of
from tests.support.servers import frozen, temporary_folder

ME = "/api/user/get-my-info"
ANSWER, RECOVER = 1.0, 2.0  # seconds: the numbers


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with temporary_folder() as folder:
        # A login takes about 0.15 s.
        settings = {"HITOK_BCRYPT_COST": "11", "HITOK_DRAIN_SECONDS": "1", "HITOK_RATE_LIMIT_SCALE": "0"}
        with running_stack(folder, gateways=2, **settings) as stack:
            yield stack


@pytest.fixture(autouse=True)
def _mended(stack: Stack) -> Iterator[None]:
    """Restarts everything after a failed test."""
    yield
    stack.mend()


@pytest.fixture
async def http(stack: Stack) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=stack.urls[0], timeout=15) as client:
        yield client


@pytest.fixture
async def alice(stack: Stack, http: httpx.AsyncClient) -> Person:
    return await register(http, stack.code_for)


async def is_refused_at_once(
    front: FrontEnd, method: str, path: str, status: int, code: int, **options: object
) -> None:
    began = time.monotonic()
    response = await front.call(method, path, **options)
    seconds = time.monotonic() - began
    assert refusal_of(path, response) == (status, code), response.text
    assert seconds < ANSWER, f"{path} took {seconds:.2f} s"


async def caches_are_dropped(alice: Person) -> None:
    """A gateway gives what it keeps of a service until that has been silent for SILENCE (gateway/cache/hearing.py)."""
    ends = time.monotonic() + SILENCE + 2
    while (await alice.call("GET", ME)).status_code == 200:
        assert time.monotonic() < ends, "what is kept lives on"
        await asyncio.sleep(0.02)


async def works_again(call: Callable[[], Awaitable[httpx.Response]], within: float = RECOVER) -> None:
    ends = time.monotonic() + within
    while (response := await call()).status_code != 200:
        assert time.monotonic() < ends, response.text
        await asyncio.sleep(0.02)


async def all_work_again(alice: Person) -> None:
    visitor = FrontEnd(alice.http)
    began = time.monotonic()
    for call in (
        lambda: alice.call("GET", ME),
        lambda: alice.call("GET", "/api/v1/user/detail"),
        lambda: visitor.call("POST", "/api/login/login", json=alice.login),
    ):
        await works_again(call, began + RECOVER - time.monotonic())


async def test_without_the_user_service_calls_say_503_and_work_again_soon(stack: Stack, alice: Person) -> None:
    visitor = FrontEnd(alice.http)
    await alice.get(ME)
    stack.user.kill()
    await caches_are_dropped(alice)

    for _ in range(2):
        await is_refused_at_once(alice, "GET", ME, 503, 60007)
        await is_refused_at_once(alice, "GET", "/api/v1/user/detail", 503, 100001)
        await is_refused_at_once(alice, "POST", "/api/user/set-profile", 503, 60007, json={"bio": "x"})
        await is_refused_at_once(visitor, "POST", "/api/login/login", 503, 60007, json=alice.login)
        body = {"phone": "17512345678", "password": "123456"}
        await is_refused_at_once(visitor, "POST", "/api/v2/user/login", 503, 100001, json=body)
    crowd = await asyncio.gather(*(alice.call("GET", ME) for _ in range(100)))
    assert Counter(answer.status_code for answer in crowd) == {503: 100}
    assert {answer.headers["retry-after"] for answer in crowd} == {"1"}
    assert stack.gateways[0].get("/health/ready") == 200, "its callers need their 503"

    stack.user.start()
    await all_work_again(alice)


async def test_after_a_long_absence_of_the_user_service_calls_work_as_soon(stack: Stack, alice: Person) -> None:
    """The channel's reconnect pauses must not have grown."""
    stack.user.kill()
    await caches_are_dropped(alice)
    ends = time.monotonic() + 4
    while time.monotonic() < ends:
        assert (await alice.call("GET", ME)).status_code == 503
        await asyncio.sleep(0.2)
    stack.user.start()
    await all_work_again(alice)


async def test_without_postgres_calls_say_503_and_work_again_soon(stack: Stack, alice: Person) -> None:
    visitor = FrontEnd(alice.http)
    await alice.get(ME)
    stack.postgres.kill()
    await caches_are_dropped(alice)

    for _ in range(2):
        await is_refused_at_once(alice, "GET", ME, 503, 60004)
        await is_refused_at_once(alice, "GET", "/api/v1/user/detail", 503, 100004)
        await is_refused_at_once(visitor, "POST", "/api/login/login", 503, 60004, json=alice.login)
    crowd = await asyncio.gather(*(alice.call("GET", ME) for _ in range(100)))
    assert Counter(answer.status_code for answer in crowd) == {503: 100}

    stack.postgres.start()
    await all_work_again(alice)


async def test_without_valkey_only_codes_say_503(stack: Stack, alice: Person) -> None:
    visitor = FrontEnd(alice.http)
    stack.valkey.kill()

    for _ in range(2):
        began = time.monotonic()
        await alice.get(ME)
        await visitor.post("/api/login/login", **alice.login)
        await alice.post("/api/user/set-profile", bio="without Valkey")
        assert time.monotonic() - began < 3 * ANSWER
        await is_refused_at_once(visitor, "POST", "/api/login/send-code", 503, 60005, json={"email": "a@example.com"})

    stack.valkey.start()
    await works_again(lambda: visitor.call("POST", "/api/login/send-code", json={"email": "b@example.com"}))


async def test_with_valkey_frozen_ordinary_requests_work(stack: Stack, alice: Person) -> None:
    with frozen(stack.valkey):
        for _ in range(5):
            began = time.monotonic()
            await alice.get(ME)
            assert time.monotonic() - began < 1.2
        await FrontEnd(alice.http).refused("POST", "/api/login/send-code", 503, 60005, json={"email": "a@example.com"})


async def test_without_nats_everything_works_and_the_other_gateway_learns_in_five_seconds(
    stack: Stack, alice: Person
) -> None:
    visitor = FrontEnd(alice.http)
    stack.nats.kill()
    atoken = (await visitor.post("/api/login/login", **alice.login))["atoken"]
    async with httpx.AsyncClient(base_url=stack.urls[1]) as elsewhere:
        there = FrontEnd(elsewhere, atoken)
        await there.get(ME)
        await alice.post("/api/user/change-password", old_password=alice.password, new_password="battery staple")
        assert await seconds_until_refused(there) < 5


async def test_a_session_ended_at_one_gateway_ends_at_the_other_at_once(stack: Stack, alice: Person) -> None:
    async with httpx.AsyncClient(base_url=stack.urls[1]) as elsewhere:
        seconds = []
        for _ in range(3):  # NATS is just back
            data = await FrontEnd(alice.http).post("/api/login/login", **alice.login)
            there = FrontEnd(elsewhere, data["atoken"])
            await there.get(ME)
            await FrontEnd(alice.http, data["atoken"]).post("/api/login/logout")
            seconds.append(await seconds_until_refused(there))
    assert max(seconds) < 5
    assert min(seconds) < 0.5, seconds


async def test_the_operators_command_ends_sessions_everywhere_within_five_seconds(stack: Stack, alice: Person) -> None:
    async with httpx.AsyncClient(base_url=stack.urls[1]) as elsewhere:
        there = FrontEnd(elsewhere, alice.token)
        await alice.get(ME)
        await there.get(ME)

        assert alice.name in await asyncio.to_thread(stack.user.command, "disable", alice.email)

        assert max([await seconds_until_refused(alice), await seconds_until_refused(there)]) < 5
        await there.refused("POST", "/api/login/login", 403, 10024, json=alice.login)


async def seconds_until_refused(front: FrontEnd) -> float:
    began = time.monotonic()
    while (response := await front.call("GET", ME)).status_code == 200:
        assert time.monotonic() - began < 6, "the session is still good"
        await asyncio.sleep(0.02)
    assert refusal_of(ME, response) == (401, -20002)
    return time.monotonic() - began


@pytest.mark.parametrize("who", ["gateway", "user service"])
async def test_sigterm_lets_logins_in_flight_finish(stack: Stack, alice: Person, who: str) -> None:
    process = stack.gateways[0] if who == "gateway" else stack.user
    visitor = FrontEnd(alice.http)
    logins = [asyncio.create_task(visitor.call("POST", "/api/login/login", json=alice.login)) for _ in range(12)]
    await asyncio.sleep(0.3)
    process.ask_to_stop()
    await asyncio.sleep(0.3)

    if who == "gateway":
        assert stack.gateways[0].get("/health/ready") == 503
        assert stack.gateways[0].get("/health/live") == 200
        await alice.get(ME)  # it serves on while a load balancer learns of it
    answers = await asyncio.gather(*logins)
    begun = [answer for answer in answers if answer.headers.get("x-error") != "OVERLOADED"]  # others were never begun
    assert Counter(answer.status_code for answer in begun) == {200: len(begun)}
    assert len(begun) > 1
    assert await asyncio.to_thread(process.wait) == 0
    if who == "user service":
        await is_refused_at_once(alice, "GET", ME, 503, 60007)

    process.start()
    await all_work_again(alice)


async def test_a_second_signal_ends_it_at_once(stack: Stack) -> None:
    gateway = stack.gateways[1]
    gateway.ask_to_stop()
    await asyncio.sleep(0.1)
    began = time.monotonic()
    gateway.ask_to_stop()
    assert await asyncio.to_thread(gateway.wait) == 1
    assert time.monotonic() - began < 0.5
    gateway.start()


async def test_starting_in_any_order(stack: Stack, alice: Person) -> None:
    """The user service before Postgres; all wait for one another."""
    stack.user.kill()
    stack.postgres.stop()
    stack.user.launch()
    stack.gateways[0].kill()
    stack.gateways[0].launch()
    while stack.gateways[0].get("/health/live") != 200:  # noqa: ASYNC110 (a process has no event for it)
        await asyncio.sleep(0.05)
    assert stack.gateways[0].get("/health/ready") == 503
    await is_refused_at_once(FrontEnd(alice.http), "POST", "/api/login/login", 503, 60007, json=alice.login)

    async with asyncio.timeout(20):
        while not any(event["event"] == "waiting for postgres" for event in stack.user.events()):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    stack.postgres.start()
    await works_again(lambda: alice.call("GET", ME), within=5)
