"""What is reported to the chat service about the users of this gateway, and when. The clock is moved by hand."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import grpc
import grpc.aio
import pytest

from gateway.chat import presence_reporter
from gateway.chat.presence_reporter import REFRESH_SECONDS, RETRY_SECONDS, PresenceReporter
from protos.chat.v1 import sockets_pb2 as pb


class Stub:
    """In place of the chat service."""

    def __init__(self) -> None:
        self.presence = self
        self.calls: list[list[pb.Connection]] = []
        self.lost = self.away = False
        self.gate = asyncio.Event()
        self.gate.set()

    async def RefreshConnections(
        self, request: pb.RefreshConnectionsRequest, timeout: float
    ) -> pb.RefreshConnectionsResponse:
        self.calls.append(list(request.connections))
        await self.gate.wait()
        if self.away:
            raise grpc.aio.AioRpcError(grpc.StatusCode.UNAVAILABLE, grpc.aio.Metadata(), grpc.aio.Metadata())
        return pb.RefreshConnectionsResponse(lost=self.lost)

    @property
    def rows(self) -> list[tuple[int, str]]:
        """What was reported since this was last asked: the user, and what of them."""
        rows, self.calls = [row for call in self.calls for row in call], []
        return [(row.user_id, "request" if row.requested_at else row.closed * "-" + row.connection_id) for row in rows]


class Clock:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def stub() -> Stub:
    return Stub()


@pytest.fixture
def reporter(stub: Any, clock: Clock) -> PresenceReporter:
    return PresenceReporter(stub, clock)


async def pass_time(reporter: PresenceReporter, clock: Clock, seconds: float) -> None:
    clock.now += seconds
    reporter.refresh()
    await reporter.flush()


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.001)


async def test_a_newcomer_is_reported_at_once_and_further_requests_are_not(
    reporter: PresenceReporter, stub: Stub
) -> None:
    before = time.time_ns() // 1_000_000
    reporter.touch(1)
    await reporter.flush()
    ((row,),) = stub.calls
    assert (row.user_id, row.connection_id) == (1, "") and before <= row.requested_at <= time.time() * 1000
    for _ in range(100):
        reporter.touch(1)
    await reporter.flush()
    assert len(stub.calls) == 1


async def test_who_made_requests_since_is_reported_again_and_who_did_not_is_forgotten(
    reporter: PresenceReporter, stub: Stub, clock: Clock
) -> None:
    for user_id in (1, 2):
        reporter.touch(user_id)
    await pass_time(reporter, clock, REFRESH_SECONDS - 1)
    reporter.touch(1)
    assert stub.rows == [(1, "request"), (2, "request")]
    await pass_time(reporter, clock, 1)
    assert stub.rows == [(1, "request")]
    await pass_time(reporter, clock, REFRESH_SECONDS)
    assert stub.rows == []
    reporter.touch(2)
    await reporter.flush()
    assert stub.rows == [(2, "request")]
    assert len(reporter._requests) == 1


async def test_open_sockets_are_reported_again_until_they_are_closed(
    reporter: PresenceReporter, stub: Stub, clock: Clock
) -> None:
    reporter.opened("a", 1)
    await pass_time(reporter, clock, REFRESH_SECONDS / 2)
    reporter.opened("b", 2)
    await reporter.flush()
    assert stub.rows == [(1, "a"), (2, "b")]
    await pass_time(reporter, clock, REFRESH_SECONDS / 2)
    assert stub.rows == [(1, "a")]
    await pass_time(reporter, clock, REFRESH_SECONDS / 2)
    assert stub.rows == [(2, "b")]
    reporter.closed("a", 1)
    await pass_time(reporter, clock, REFRESH_SECONDS)
    assert stub.rows == [(1, "-a"), (2, "b")]


async def test_what_changes_during_a_report_travels_together_and_in_order(
    reporter: PresenceReporter, stub: Stub
) -> None:
    stub.gate.clear()
    reporter.opened("a", 1)
    await until(lambda: stub.calls)
    for _ in range(3):
        reporter.opened("b", 2)
        reporter.closed("b", 2)
    reporter.touch(3)
    stub.gate.set()
    await reporter.flush()
    assert [len(call) for call in stub.calls] == [1, 7]
    assert stub.rows[-3:] == [(2, "b"), (2, "-b"), (3, "request")]


@pytest.mark.parametrize("how", ["lost", "away"])
async def test_what_could_not_be_reported_is_reported_again_soon(
    reporter: PresenceReporter, stub: Stub, clock: Clock, how: str
) -> None:
    setattr(stub, how, True)
    reporter.opened("a", 1)
    reporter.opened("b", 1)
    reporter.touch(2)
    reporter.closed("b", 1)
    await reporter.flush()
    assert stub.rows == [(1, "a"), (1, "b"), (2, "request"), (1, "-b")]
    await pass_time(reporter, clock, RETRY_SECONDS)
    assert sorted(stub.rows) == [(1, "a"), (2, "request")]
    setattr(stub, how, False)
    await pass_time(reporter, clock, RETRY_SECONDS)
    assert sorted(stub.rows) == [(1, "a"), (2, "request")]
    await pass_time(reporter, clock, RETRY_SECONDS)
    assert stub.rows == []


async def test_a_thousand_at_once_are_few_reports(reporter: PresenceReporter, stub: Stub) -> None:
    for user_id in range(1, 3_001):
        reporter.touch(user_id)
    await until(lambda: sum(map(len, stub.calls)) == 3_000)
    assert len(stub.calls) == 3


async def test_memory_is_bounded(
    reporter: PresenceReporter, stub: Stub, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(presence_reporter, "MAX_REQUESTERS", 10)
    monkeypatch.setattr(presence_reporter, "MAX_WAITING", 5)
    small = PresenceReporter(stub, clock)  # type: ignore[arg-type]
    for user_id in range(100):
        small.touch(user_id)
    await small.flush()
    assert len(small._requests) == 10
    assert len(stub.rows) == 5


async def test_the_end_closes_every_socket(reporter: PresenceReporter, stub: Stub) -> None:
    async with reporter.running():
        reporter.opened("a", 1)
        reporter.opened("b", 2)
        await reporter.flush()
        assert stub.rows == [(1, "a"), (2, "b")]
    assert stub.rows == [(1, "-a"), (2, "-b")]


async def test_nothing_that_is_due_is_left_waiting(reporter: PresenceReporter, stub: Stub, clock: Clock) -> None:
    """`refresh` looks at the first entries only."""
    for number in range(20):
        reporter.opened(f"{number}", number)
        reporter.touch(number)
        stub.lost = number % 3 == 0
        await pass_time(reporter, clock, RETRY_SECONDS * 0.9)
        for entries in (reporter._sockets.values(), reporter._requests.values()):
            assert all(entry.due > clock.now for entry in entries)
