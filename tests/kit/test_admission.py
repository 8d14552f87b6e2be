"""An overloaded process refuses: reads before writes, at once, and no more than it has to."""

import asyncio

import grpc
import grpc.aio
import pytest
from grpc_health.v1.health_pb2 import HealthCheckRequest
from grpc_health.v1.health_pb2_grpc import HealthStub
from structlog.testing import capture_logs

from gateway.http.error_answers import retry_after_of
from protos.user.v1 import accounts_pb2 as pb
from protos.user.v1 import users_pb2 as users_pb
from protos.user.v1.accounts_pb2_grpc import AccountsStub
from protos.user.v1.users_pb2_grpc import UsersStub
from services.kit.errors import reason_of
from services.kit.overload import admission
from services.kit.overload.admission import FIRST, HERE, LEAST, Admission, Rank
from tests.kit.rpc import channel_to, serving, succeed
from tests.kit.test_channel import Failing
from tests.support.overload import overloaded
from tests.support.user import refusal

TARGET = 0.05


class Clock:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(admission, "monotonic", clock)
    return clock


def begun() -> Admission:
    here = Admission()
    here._target, here._ticking = TARGET, True  # its intervals end when the test says so
    return here


def fill(here: Admission, rank: Rank = Rank.WRITE) -> int:
    """How many more are admitted."""
    admitted = 0
    while here.enter(rank):
        admitted += 1
    return admitted


def test_reads_are_refused_before_writes() -> None:
    here = begun()
    assert fill(here, Rank.READ) == FIRST * 3 // 4
    assert fill(here, Rank.WRITE) == FIRST // 4
    here.leave()
    assert not here.enter(Rank.READ)
    assert here.enter(Rank.WRITE)


def test_before_it_is_started_everything_is_admitted() -> None:
    here = Admission()
    assert all(here.enter(Rank.READ) for _ in range(10 * FIRST))


@pytest.mark.parametrize("queue", ["loop", "pool"])
def test_the_limit_shrinks_while_a_queue_stands_but_not_below_the_least(clock: Clock, queue: str) -> None:
    here = begun()
    limits = []
    for _ in range(20):
        fill(here)
        here.waited("loop", 0.0)
        here.waited(queue, 3 * TARGET)
        here.adjust()
        limits.append(here.limit)
    assert limits == sorted(limits, reverse=True)
    assert limits[0] < FIRST
    assert limits[-1] == LEAST


def test_one_slow_turn_among_quick_ones_is_no_queue(clock: Clock) -> None:
    here = begun()
    for wait in (4 * TARGET, 0.0, 0.0, 0.0, 0.0):
        here.waited("loop", wait)
    here.adjust()
    assert here.limit == FIRST


def test_the_limit_grows_while_it_is_used_and_no_queue_stands(clock: Clock) -> None:
    """As when a service is slow and its callers wait: they need no time of this process."""
    here = begun()
    for _ in range(20):
        fill(here)
        here.waited("loop", 0.001)
        here.adjust()
    assert here.limit > 4 * FIRST


def test_after_a_queue_the_limit_creeps_and_later_comes_back(clock: Clock) -> None:
    here = begun()
    fill(here)
    here.waited("loop", 1.0)
    here.adjust()
    stood = here.limit
    here.adjust()
    assert here.limit - stood == admission.CREEP
    clock.now += admission.CREEP_SECONDS + 0.1
    while here.admitted:
        here.leave()
    for _ in range(10):
        here.adjust()
    assert here.limit >= FIRST


async def test_a_busy_event_loop_is_measured_and_a_resting_one_left_alone() -> None:
    here = Admission()
    here._target = 0.001
    assert here.enter(Rank.READ)
    async with asyncio.timeout(10):
        while here.limit == FIRST:
            await asyncio.sleep(0)  # the other tasks of the loop
            held = asyncio.get_running_loop().time() + 0.03
            while asyncio.get_running_loop().time() < held:
                pass
    here.leave()
    async with asyncio.timeout(10):
        while here._ticking:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_a_refused_call_costs_nothing_more_and_is_not_tried_again() -> None:
    behave = Failing(times=0)
    async with serving(behave) as port, channel_to(port) as channel:
        with capture_logs() as logs, overloaded(), pytest.raises(grpc.aio.AioRpcError) as refused:
            await UsersStub(channel).BatchGetUsers(users_pb.BatchGetUsersRequest())
        assert await HealthStub(channel).Check(HealthCheckRequest())
    assert (refused.value.code(), reason_of(refused.value)) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED")
    assert retry_after_of(refused.value) == 1.0
    assert (behave.calls, logs) == (0, [])


async def test_health_is_answered_and_writes_are_when_reads_are_not() -> None:
    async with serving(succeed) as port, channel_to(port) as channel:
        with overloaded(limit=1.0):
            assert await refusal(UsersStub(channel).BatchGetUsers(users_pb.BatchGetUsersRequest())) == ""
            assert HERE.enter(Rank.READ)
            assert await refusal(UsersStub(channel).BatchGetUsers(users_pb.BatchGetUsersRequest())) == "OVERLOADED"
            HERE.limit = 1.3
            assert await refusal(UsersStub(channel).BatchGetUsers(users_pb.BatchGetUsersRequest())) == "OVERLOADED"
            assert await refusal(AccountsStub(channel).Logout(pb.LogoutRequest())) == ""
            HERE.limit = 0.0
            assert await HealthStub(channel).Check(HealthCheckRequest())
            HERE.leave()


async def test_a_place_is_given_back_however_the_call_ends() -> None:
    async with serving(Failing(times=1)) as port, channel_to(port) as channel:
        before = HERE.admitted
        assert await refusal(AccountsStub(channel).Logout(pb.LogoutRequest())) == "UNAVAILABLE"
        assert await refusal(AccountsStub(channel).Logout(pb.LogoutRequest())) == ""
        assert HERE.admitted == before


@pytest.mark.parametrize(("wait", "served", "grows"), [(0.3, 0, False), (0.3, FIRST, True), (0.1, 0, True)])
def test_the_limit_stays_while_requests_only_wait_for_each_other(
    clock: Clock, wait: float, served: int, grows: bool
) -> None:
    """As where processes share too few cores: none of them has much of a queue, and all are slow."""
    here = begun()
    fill(here)
    for _ in range(served):
        here.leave()
    here.waited("loop", wait * TARGET)
    here.adjust()
    assert (here.limit > FIRST) == grows
