"""Two gateways with limits on: what they allow together, and what processes write down of it all."""

import asyncio
import itertools
import re
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import grpc
import httpx
import pytest

from tests.e2e.people import Person
from tests.e2e.stack import Stack, running_stack
from tests.gateway.people import claims_of
from tests.support.gateway import FrontEnd
from tests.support.servers import temporary_folder
from tests.support.user import new_name

ME = "/api/user/get-my-info"
PASSWORDS = ["first-s3cr3t-passw0rd", "second-s3cr3t-passw0rd", "wrong-s3cr3t-passw0rd"]
_ips = (f"10.1.{number}.1" for number in itertools.count(1))


class Collector(grpc.GenericRpcHandler):
    """Takes traces as an OpenTelemetry collector does, and keeps the bytes."""

    def __init__(self) -> None:
        self.received = b""

    def service(self, details: grpc.HandlerCallDetails) -> "grpc.RpcMethodHandler[bytes, bytes]":
        def export(request: bytes, _: object) -> bytes:
            self.received += request
            return b""

        return grpc.unary_unary_rpc_method_handler(export)


@contextmanager
def collecting() -> Iterator[tuple[Collector, str]]:
    collector = Collector()
    server = grpc.server(ThreadPoolExecutor(2), handlers=[collector])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield collector, f"http://127.0.0.1:{port}"
    finally:
        server.stop(0).wait()


@pytest.fixture(scope="module")
def collector() -> Iterator[tuple[Collector, str]]:
    with collecting() as found:
        yield found


@pytest.fixture(scope="module")
def stack(collector: tuple[Collector, str]) -> Iterator[Stack]:
    settings = {
        "HITOK_BCRYPT_COST": "4",
        "HITOK_DRAIN_SECONDS": "0",
        "HITOK_TRUSTED_PROXIES": "127.0.0.1",
        "HITOK_OTLP_ENDPOINT": collector[1],
    }
    with temporary_folder() as folder, running_stack(folder, gateways=2, **settings) as stack:
        yield stack


@pytest.fixture
async def fronts(stack: Stack) -> AsyncIterator[list[FrontEnd]]:
    """One at each gateway, behind the same address that was never seen before."""
    headers = {"X-Forwarded-For": next(_ips)}
    async with (
        httpx.AsyncClient(base_url=stack.urls[0], headers=headers) as first,
        httpx.AsyncClient(base_url=stack.urls[1], headers=headers) as second,
    ):
        yield [FrontEnd(first), FrontEnd(second)]


async def test_a_limit_of_four_lets_four_through_two_gateways_together(fronts: list[FrontEnd]) -> None:
    body = {"email": "nobody@example.com", "password": PASSWORDS[2]}
    calls = [front.call("POST", "/api/login/login", json=body) for front in fronts * 25]
    answers = await asyncio.gather(*calls)
    assert Counter(answer.status_code for answer in answers) == {401: 4, 429: 46}


async def test_of_fifty_registrations_with_one_code_one_succeeds(stack: Stack, fronts: list[FrontEnd]) -> None:
    """Each from an address of its own, so that the limit lets them pass."""
    address = f"{new_name()}@example.com"
    await fronts[0].post("/api/login/send-code", email=address)
    body = {"email": address, "code": stack.code_for(address), "password": PASSWORDS[0]}
    calls = [
        front.call(
            "POST",
            "/api/login/register",
            json=body | {"username": new_name()},
            headers={"X-Forwarded-For": next(_ips)},
        )
        for front in fronts * 25
    ]
    answers = await asyncio.gather(*calls)
    assert Counter(answer.status_code for answer in answers) == {200: 1, 400: 49}


async def test_logs_metrics_and_traces_show_each_request_once_and_no_secret(
    stack: Stack, collector: tuple[Collector, str], fronts: list[FrontEnd]
) -> None:
    http, seen = fronts[0].http, Seen(stack)
    visitor = FrontEnd(http)
    name = new_name()
    address = f"{name}@example.com"

    async def call(method: str, path: str, front: FrontEnd = visitor, **options: object) -> httpx.Response:
        headers = {"X-Request-Id": f"request-{len(seen.sent)}"}
        response = await front.call(method, path, headers=headers, **options)
        seen.sent[headers["X-Request-Id"]] = (path.partition("?")[0], response.status_code)
        return response

    await call("POST", "/api/login/send-code", json={"email": address})
    code = stack.code_for(address)
    register = {"email": address, "code": code, "password": PASSWORDS[0], "username": name}
    atoken = (await call("POST", "/api/login/register", json=register)).json()["data"]["atoken"]
    alice = Person(http, atoken, name, PASSWORDS[0])
    tokens = (await call("POST", "/api/login/login", json=alice.login)).json()["data"]
    await call("POST", "/api/login/login", json=alice.login | {"password": PASSWORDS[2]})
    fresh = await call("POST", "/api/login/refresh-token", json={"rtoken": tokens["rtoken"]})
    await call("POST", "/api/login/refresh-token", json={"rtoken": tokens["rtoken"] + "x"})
    await call("GET", f"{ME}?token={atoken}&password={PASSWORDS[0]}", alice)
    await call("GET", ME, FrontEnd(http, atoken + "x"))
    change = {"old_password": PASSWORDS[0], "new_password": PASSWORDS[1]}
    await call("POST", "/api/user/change-password", alice, json=change)
    await call("POST", "/api/v1/user/login", json={"phone": "17512345678", "password": PASSWORDS[2]})
    await call("POST", "/api/login/reset-password", json={"email": address, "code": code, "password": PASSWORDS[1]})
    await call("POST", "/api/user/set-profile", alice, content=f'{{"password": "{PASSWORDS[0]}')
    await call("GET", "/api/nowhere")
    stack.user.kill()
    await call("POST", "/api/login/login", json=alice.login | {"password": PASSWORDS[1]})
    stack.user.start()
    stack.postgres.kill()
    headers = {"X-Forwarded-For": next(_ips)}
    await visitor.call("POST", "/api/login/login", json=alice.login | {"password": PASSWORDS[1]}, headers=headers)
    stack.postgres.start()

    metrics = "".join([(await http.get(url)).text for url in ("/metrics", stack.user.metrics_url)])
    for process in stack.processes:  # so that the last spans are sent
        process.ask_to_stop()
        assert process.wait() == 0

    seen.check_requests(int(claims_of(atoken)["userid"]))
    secrets = [*PASSWORDS, code, atoken, *tokens.values(), fresh.json()["data"]["atoken"]]
    secrets += [token.split(".")[2] for token in secrets if token.count(".") == 2]
    secrets += [stack.user.environment[name] for name in ("HITOK_JWT_SECRET", "HITOK_INTERNAL_SECRET")]
    written = {process.log.name: process.log.read_text() for process in stack.processes}
    written |= {"metrics": metrics, "traces": collector[0].received.decode("latin-1")}
    assert "LoginByEmail" in written["traces"]
    assert "LoginByEmail" in written["metrics"]
    for place, text in written.items():
        for secret in secrets:
            # A code is short enough to be found in a time or an id.
            pattern = rf"(?<![\d.]){secret}(?![\d])" if secret.isdigit() else re.escape(secret)
            assert not re.search(pattern, text), f"{secret} is in {place}"


class Seen:
    """What was sent to the first gateway, and what its log says of it."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.sent: dict[str, tuple[str, int]] = {}

    def check_requests(self, user_id: int) -> None:
        lines = [event for event in self.stack.gateways[0].events() if event["event"] == "request"]
        ours = [line for line in lines if line["request_id"] in self.sent]
        assert {line["request_id"]: line["status"] for line in ours} == {
            request_id: status for request_id, (_, status) in self.sent.items()
        }
        assert len(ours) == len(self.sent), "each once"
        for line in ours:
            path, _ = self.sent[line["request_id"]]
            assert line["route"] in (path, "unmatched") or path.startswith("/api/v1/")
            assert line["ms"] > 0
            assert line["service"] == "gateway"
            named = {*("service", "event", "level", "timestamp", "request_id", "trace_id"), *REQUEST_FIELDS}
            refused = {"reason"} if line["status"] >= 400 else set()
            assert set(line) - {"field"} == named | refused
        of_the_user = {line["route"] for line in ours if line["user_id"] == user_id}
        assert of_the_user == {ME, "/api/user/change-password", "/api/user/set-profile"}


REQUEST_FIELDS = ("method", "route", "status", "ms", "user_id", "ip")
