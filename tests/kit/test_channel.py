import asyncio
import time
from collections.abc import Callable
from typing import Any

import grpc
import grpc.aio
import pytest
from structlog.testing import capture_logs

from protos.user.v1 import accounts_pb2 as pb
from protos.user.v1 import users_pb2 as users_pb
from protos.user.v1.accounts_pb2_grpc import AccountsStub, SessionsStub
from protos.user.v1.users_pb2_grpc import UsersStub
from services.kit.context import current_deadline
from services.kit.errors import Unavailable, reason_of
from services.kit.process import server
from services.kit.rpc import channel as channels
from tests.kit.rpc import PROTOS, Behaviour, channel_to, replica, serving, succeed
from tests.support.processes import CALL_TIMEOUT
from tests.support.user import refusal

Call = Callable[[grpc.aio.Channel], grpc.aio.UnaryUnaryCall[Any, Any]]


def read(channel: grpc.aio.Channel) -> grpc.aio.UnaryUnaryCall[Any, Any]:
    """Declared NO_SIDE_EFFECTS."""
    return UsersStub(channel).BatchGetUsers(users_pb.BatchGetUsersRequest())


def put(channel: grpc.aio.Channel) -> grpc.aio.UnaryUnaryCall[Any, Any]:
    """Declared IDEMPOTENT."""
    return UsersStub(channel).UpdateProfile(users_pb.UpdateProfileRequest())


def act(channel: grpc.aio.Channel) -> grpc.aio.UnaryUnaryCall[Any, Any]:
    """Declared nothing."""
    return AccountsStub(channel).Logout(pb.LogoutRequest())


class Failing:
    """A behaviour that fails the first `times` times."""

    def __init__(self, times: int, status: grpc.StatusCode | None = None) -> None:
        self.times, self.status, self.calls = times, status, 0

    async def __call__(self, context: grpc.aio.ServicerContext[Any, Any]) -> None:
        self.calls += 1
        if self.calls <= self.times:
            if self.status:
                await context.abort(self.status)
            raise Unavailable


@pytest.mark.parametrize(("call", "tries"), [(read, 3), (put, 3), (act, 1)])
async def test_only_what_may_be_repeated_is_tried_again(call: Call, tries: int) -> None:
    behave = Failing(times=2)
    async with serving(behave) as port, channel_to(port) as channel:
        assert await refusal(call(channel)) == ("" if tries == 3 else "UNAVAILABLE")
    assert behave.calls == tries


@pytest.mark.parametrize(("call", "tries"), [(read, 2), (act, 1)])
async def test_what_a_stopping_server_cancels_before_it_has_begun_is_tried_again(call: Call, tries: int) -> None:
    behave = Failing(1, grpc.StatusCode.CANCELLED)
    async with serving(behave) as port, channel_to(port) as channel:
        assert await refusal(call(channel)) == ("" if tries == 2 else "UNAVAILABLE")
    assert behave.calls == tries


async def test_a_channel_to_all_replicas_leaves_one_that_is_about_to_stop() -> None:
    stays, leaves = Failing(times=0), Failing(times=0)
    async with replica(stays) as one, replica(leaves) as other, channel_to(one.port, other.port) as channel:
        async with asyncio.timeout(CALL_TIMEOUT):
            while not (stays.calls and leaves.calls):
                await act(channel)
        await other.health.set_serving(False)
        async with asyncio.timeout(CALL_TIMEOUT):
            before = -1
            while before != leaves.calls:
                before = leaves.calls
                for _ in range(10):
                    await act(channel)
        began = time.monotonic()
        await asyncio.gather(other.server.stop(server.GRACE), other.health.end_watches())
        assert time.monotonic() - began < server.GRACE / 2, "it has waited for the channel, which watches its health"
        before = stays.calls
        for _ in range(10):
            await act(channel)
        assert stays.calls == before + 10


async def test_three_tries_are_all() -> None:
    behave = Failing(times=10)
    async with serving(behave) as port, channel_to(port) as channel:
        assert await refusal(read(channel)) == "UNAVAILABLE"
    assert behave.calls == 3


async def test_retries_have_a_budget() -> None:
    """Where all calls fail, the third try of each would be a load of its own."""
    behave = Failing(times=10_000)
    async with serving(behave) as port, channel_to(port) as channel:
        outcomes = await asyncio.gather(*(refusal(read(channel)) for _ in range(150)))
    assert outcomes == ["UNAVAILABLE"] * 150
    assert behave.calls < 150 + 75


async def test_a_method_that_an_older_service_lacks_is_reported_once() -> None:
    channels._unimplemented.clear()
    async with serving(Failing(times=0)) as port, channel_to(port) as channel:
        with capture_logs() as logs:
            for _ in range(3):
                assert await refusal(SessionsStub(channel).CheckSessions(pb.CheckSessionsRequest())) == "UNAVAILABLE"
    assert [line["event"] for line in logs if line["log_level"] == "warning"] == [
        "the service does not know this method; it may be of an older release"
    ]


@pytest.mark.parametrize("status", [grpc.StatusCode.INTERNAL, grpc.StatusCode.ALREADY_EXISTS])
async def test_only_an_unavailable_service_is_tried_again(status: grpc.StatusCode) -> None:
    behave = Failing(10, status)
    async with serving(behave) as port, channel_to(port) as channel:
        with pytest.raises(grpc.aio.AioRpcError):
            await read(channel)
    assert behave.calls == 1


def test_every_method_declared_repeatable_is_retried_and_no_other() -> None:
    config = channels._service_config(PROTOS)["methodConfig"][0]["name"]
    assert {entry["method"] for entry in config} >= {"ListSessions", "RevokeSession", "CheckSessions", "SetRole"}
    assert not {entry["method"] for entry in config} & {"SendCode", "RegisterByEmail", "LoginByPhone", "RefreshToken"}


def recording(left: list[float]) -> Behaviour:
    async def behave(context: grpc.aio.ServicerContext[Any, Any]) -> None:
        left.append(context.time_remaining() or 0)

    return behave


async def test_a_call_has_a_deadline_though_none_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channels, "DEFAULT_TIMEOUT", CALL_TIMEOUT)
    left: list[float] = []
    async with serving(recording(left)) as port, channel_to(port) as channel:
        await read(channel)
    assert 2.5 < left[0] < 3.1


async def test_a_call_made_for_a_request_may_not_outlive_it() -> None:
    left: list[float] = []
    async with serving(recording(left)) as port, channel_to(port) as channel:
        token = current_deadline.set(asyncio.get_running_loop().time() + 1)
        await UsersStub(channel).BatchGetUsers(users_pb.BatchGetUsersRequest(), timeout=2)
        await UsersStub(channel).BatchGetUsers(users_pb.BatchGetUsersRequest(), timeout=0.5)
        await read(channel)
        current_deadline.reset(token)
    assert 0.7 < left[0] < 1.1 and left[1] < 0.6 < left[2] < 1.1


async def test_a_call_for_a_request_that_has_given_up_is_not_made() -> None:
    left: list[float] = []
    async with serving(recording(left)) as port, channel_to(port) as channel:
        token = current_deadline.set(asyncio.get_running_loop().time() - 1)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await act(channel)
        current_deadline.reset(token)
    assert refused.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED and not left


async def test_the_deadline_goes_on_through_a_service_to_the_next() -> None:
    left: list[float] = []
    async with serving(recording(left)) as inner, channel_to(inner) as inner_channel:

        async def call_on(_: object) -> None:
            await read(inner_channel)

        async with serving(call_on) as outer, channel_to(outer) as channel:
            await AccountsStub(channel).Logout(pb.LogoutRequest(), timeout=1)
    assert 0.5 < left[0] < 1.1


async def test_a_silent_service_is_given_up_at_the_deadline() -> None:
    async def sleep(_: object) -> None:
        await asyncio.sleep(10)

    async with serving(sleep) as port, channel_to(port) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await AccountsStub(channel).Logout(pb.LogoutRequest(), timeout=0.3)
    assert reason_of(refused.value) == "UNAVAILABLE"


async def test_a_restarted_service_is_found_again_within_two_seconds() -> None:
    async with serving(succeed) as port:
        channel = channel_to(port)
        await act(channel)
    gone = time.monotonic()
    while time.monotonic() - gone < 2.5:  # so that the waits between attempts have grown
        called = time.monotonic()
        assert await refusal(act(channel)) == "UNAVAILABLE"
        assert time.monotonic() - called < 1
        await asyncio.sleep(0.2)
    async with serving(succeed, port):
        back = time.monotonic()
        while await refusal(act(channel)):
            assert time.monotonic() - back < 2.5
            await asyncio.sleep(0.05)
        await channel.close()


async def test_a_connection_is_given_up_now_and_then_and_no_call_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a replica that was added later would never be called."""
    monkeypatch.setattr(server, "MAX_CONNECTION_AGE_MS", 150)
    peers = set()

    async def note_peer(context: grpc.aio.ServicerContext[Any, Any]) -> None:
        peers.add(context.peer())
        await asyncio.sleep(0.02)

    async with serving(note_peer) as port, channel_to(port) as channel:
        refused = []
        until = time.monotonic() + 1.2
        while time.monotonic() < until:
            refused += [await refusal(act(channel)), *await asyncio.gather(*(refusal(act(channel)) for _ in range(4)))]
    assert len(peers) > 2
    assert set(refused) == {""}
