"""Calls to URLs of others over real connections: pinned, bounded, and never redirected."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from services.outbound.addresses import AddressRefused, Rules
from services.outbound.client import MAX_ANSWER, AnswerLost, Unreached, open_client
from tests.support.push_services import Answer, PushService, running_push_service


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[PushService]:
    async with running_push_service(tmp_path) as running:
        yield running


def resolving(*answers: Sequence[str]) -> "Resolver":
    return Resolver(list(answers))


class Resolver:
    """Gives another answer at each look-up, as a hostile name server does; the last one for ever."""

    def __init__(self, answers: list[Sequence[str]]) -> None:
        self.answers, self.asked = answers, 0

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked += 1
        return self.answers[min(self.asked, len(self.answers)) - 1]


async def test_an_address_that_is_checked_is_the_one_that_is_called(service: PushService) -> None:
    """A name that first answers a public address, then an inner one (DNS rebinding), is looked up once a connection."""
    resolver = resolving(["127.0.0.1"])
    async with open_client(Rules([service.port]), service.ca, resolve=resolver) as client:
        with pytest.raises(AddressRefused):
            await client.post(f"https://push.example.com:{service.port}/x", {}, b"")
    assert resolver.asked == 1
    assert not service.requests
    private = Rules([service.port], private=True)
    async with open_client(private, service.ca, resolve=resolving(["127.0.0.1"], [])) as client:
        for _ in range(3):  # one connection, kept open, and one look-up
            assert (await client.post(f"{service.url}/x", {}, b"hello")).status == 201
    assert [request.body for request in service.requests] == [b"hello"] * 3


async def test_a_certificate_must_be_for_the_name(service: PushService) -> None:
    rules = Rules([service.port], private=True)
    async with open_client(rules, service.ca, resolve=resolving(["127.0.0.1"])) as client:
        with pytest.raises(Unreached):
            await client.post(f"https://other.example.com:{service.port}/x", {}, b"")
    async with open_client(rules) as client:
        with pytest.raises(Unreached):
            await client.post(f"{service.url}/x", {}, b"")
    assert not service.requests


async def test_a_redirect_is_an_answer_and_a_large_one_is_cut(service: PushService) -> None:
    service.answer = lambda _: Answer(307, [("Location", f"{service.url}/inside")], b"x" * (3 * MAX_ANSWER))
    async with open_client(Rules([service.port], private=True), service.ca) as client:
        answer = await client.post(f"{service.url}/x", {}, b"")
    assert (answer.status, answer.headers["location"]) == (307, f"{service.url}/inside")
    assert len(answer.body) == MAX_ANSWER
    assert [request.path for request in service.requests] == ["/x"]


async def test_a_slow_host_is_given_up_and_holds_few_connections(service: PushService) -> None:
    service.answer = lambda _: Answer(seconds=30)
    rules = Rules([service.port], private=True)
    async with open_client(rules, service.ca, per_host=2, seconds=0.5) as client:
        calls = [client.post(f"{service.url}/{number}", {}, b"") for number in range(5)]
        results = await asyncio.gather(*calls, return_exceptions=True)
    assert sorted(type(result).__name__ for result in results) == ["AnswerLost"] * 2 + ["Unreached"] * 3
    assert AnswerLost.__name__ in {type(result).__name__ for result in results}


async def test_nobody_there_is_told_from_no_answer(service: PushService) -> None:
    rules = Rules([service.port, 1], private=True)
    async with open_client(rules, service.ca, seconds=5) as client:
        with pytest.raises(Unreached):
            await client.post("https://localhost:1/x", {}, b"")
        with pytest.raises(Unreached):
            await client.post("https://no-such-host.invalid:1/x", {}, b"")
