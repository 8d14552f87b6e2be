import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import grpc.aio
import pytest
from grpc_health.v1.health_pb2 import HealthCheckRequest
from grpc_health.v1.health_pb2_grpc import HealthStub
from prometheus_client import REGISTRY
from redis.exceptions import ConnectionError as RedisLost
from redis.exceptions import ResponseError
from sqlalchemy.exc import DataError, IntegrityError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from structlog.testing import capture_logs

from gateway.http.error_answers import retry_after_of
from protos.user.v1 import accounts_pb2 as pb
from protos.user.v1.accounts_pb2_grpc import AccountsStub
from services.kit.context import SECRET_KEY, Caller, current_caller, current_deadline, current_request_id
from services.kit.errors import Conflict, TooMany, reason_of
from services.kit.process import server
from tests.kit.rpc import SETTINGS, Behaviour, channel_to, serving, succeed
from tests.support.user import acting

LOGOUT = "/hitok.user.v1.Accounts/Logout"


class PhoneTaken(Conflict):
    pass


class TooManyCodes(TooMany):
    pass


def failing(error: Exception) -> Behaviour:
    async def fail(_: object) -> None:
        raise error

    return fail


async def failure(behave: Behaviour) -> grpc.aio.AioRpcError:
    """What a caller of our own sees."""
    async with serving(behave) as port, channel_to(port) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await AccountsStub(channel).Logout(pb.LogoutRequest())
        return refused.value


@asynccontextmanager
async def stranger(behave: Behaviour = succeed) -> AsyncIterator[grpc.aio.Channel]:
    """A plain channel, which adds nothing."""
    async with serving(behave) as port, grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield channel


async def test_an_error_travels_as_status_reason_and_detail() -> None:
    error = await failure(failing(PhoneTaken("by another")))
    assert (error.code(), reason_of(error), error.details()) == (
        grpc.StatusCode.ALREADY_EXISTS,
        "PHONE_TAKEN",
        "by another",
    )
    assert retry_after_of(error) is None


async def test_when_to_try_again_travels_too() -> None:
    error = await failure(failing(TooManyCodes(retry_after=12.5)))
    assert (reason_of(error), retry_after_of(error)) == ("TOO_MANY_CODES", 12.5)


@pytest.mark.parametrize(
    "error",
    [
        ValueError("hunter2"),
        KeyError("hunter2"),
        TimeoutError("hunter2"),
        DataError("INSERT hunter2", {}, Exception("hunter2")),
        IntegrityError("INSERT hunter2", {}, Exception("hunter2")),
    ],
)
async def test_an_unforeseen_exception_is_internal_and_its_text_stays_here(error: Exception) -> None:
    with capture_logs() as logs:
        seen = await failure(failing(error))
    assert (seen.code(), reason_of(seen)) == (grpc.StatusCode.INTERNAL, "INTERNAL")
    assert "hunter2" not in str(seen.details()) + repr(seen.trailing_metadata())
    line = next(line for line in logs if line["event"] == "failed")
    assert (line["rpc"], line["status"], line["exc_info"]) == (LOGOUT, "INTERNAL", error)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OperationalError("SELECT", {}, Exception("gone")), "DATABASE_UNAVAILABLE"),
        (PoolTimeout("QueuePool limit"), "DATABASE_UNAVAILABLE"),
        (RedisLost("gone"), "CACHE_UNAVAILABLE"),
        (ResponseError("OOM"), "CACHE_UNAVAILABLE"),
    ],
)
async def test_a_lost_server_is_unavailable(error: Exception, reason: str) -> None:
    seen = await failure(failing(error))
    assert (seen.code(), reason_of(seen)) == (grpc.StatusCode.UNAVAILABLE, reason)


async def test_a_service_that_we_call_and_that_is_away_makes_us_unavailable() -> None:
    async with serving(succeed) as port:
        pass
    async with channel_to(port) as gone:

        async def call_on(_: object) -> None:
            await AccountsStub(gone).Logout(pb.LogoutRequest())

        assert reason_of(await failure(call_on)) == "UNAVAILABLE"


async def test_an_abort_of_the_servicers_own_is_not_swallowed() -> None:
    async def abort(context: grpc.aio.ServicerContext[Any, Any]) -> None:
        await context.abort(grpc.StatusCode.DATA_LOSS, "mine")

    assert (await failure(abort)).code() is grpc.StatusCode.DATA_LOSS


# -- what is let in ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "metadata",
    [
        [],
        [(SECRET_KEY, "")],
        [(SECRET_KEY, SETTINGS.internal_secret[:-1])],
        [(SECRET_KEY, SETTINGS.internal_secret + "x")],
        [(SECRET_KEY + "-bin", SETTINGS.internal_secret.encode())],
        [("x-user-id", "1"), ("x-role", "4")],
    ],
)
async def test_a_call_without_our_credential_is_refused(metadata: list[tuple[str, str | bytes]]) -> None:
    served = []

    async def behave(context: object) -> None:
        served.append(context)

    async with stranger(behave) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await AccountsStub(channel).Logout(pb.LogoutRequest(), timeout=3, metadata=metadata)
    assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
    assert reason_of(refused.value) == "CREDENTIAL_MISSING" and not served


async def test_health_is_told_to_everyone() -> None:
    async with stranger() as channel:
        answer = await HealthStub(channel).Check(HealthCheckRequest(), timeout=3)
    assert answer.status == answer.SERVING


@pytest.mark.parametrize("timeout", [None, 0.09])
async def test_a_call_without_deadline_or_with_too_little_left_is_refused(timeout: float | None) -> None:
    served = []

    async def behave(context: object) -> None:
        served.append(context)

    async with stranger(behave) as channel:
        await channel.channel_ready()
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            metadata = [(SECRET_KEY, SETTINGS.internal_secret)]
            await AccountsStub(channel).Logout(pb.LogoutRequest(), timeout=timeout, metadata=metadata)
    assert refused.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED and not served
    if timeout is None:
        assert reason_of(refused.value) == "DEADLINE_TOO_SHORT"


async def test_more_calls_than_a_server_takes_are_told_to_try_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "MAX_CONCURRENT_RPCS", 1)
    entered, leave = asyncio.Event(), asyncio.Event()

    async def wait(_: object) -> None:
        entered.set()
        await leave.wait()

    async with serving(wait) as port, channel_to(port) as channel:
        first = AccountsStub(channel).Logout(pb.LogoutRequest())
        await entered.wait()
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await AccountsStub(channel).Logout(pb.LogoutRequest())
        leave.set()
        await first
    assert reason_of(refused.value) == "UNAVAILABLE"


# -- what arrives ------------------------------------------------------------------------------------------------------


async def test_caller_and_request_id_arrive() -> None:
    seen: list[object] = []

    async def behave(_: object) -> None:
        seen.extend([current_caller.get(), current_request_id.get()])

    caller = Caller(42, 3, 7)
    async with serving(behave) as port, channel_to(port) as channel:
        token = current_request_id.set("request-1")
        with acting(caller):
            await AccountsStub(channel).Logout(pb.LogoutRequest())
        current_request_id.reset(token)
        await AccountsStub(channel).Logout(pb.LogoutRequest())
    assert seen[:3] == [caller, "request-1", Caller()]
    assert seen[3] not in ("", "request-1"), "a call without an id gets one"


async def test_the_deadline_arrives() -> None:
    left: list[float] = []

    async def behave(_: object) -> None:
        left.append((current_deadline.get() or 0) - asyncio.get_running_loop().time())

    async with serving(behave) as port, channel_to(port) as channel:
        await AccountsStub(channel).Logout(pb.LogoutRequest(), timeout=1.5)
    assert 1 < left[0] < 1.6


async def test_each_call_is_logged_and_counted_once_with_its_status_and_caller() -> None:
    def count(status: str) -> float:
        labels = {"method": LOGOUT, "status": status}
        return REGISTRY.get_sample_value("hitok_rpc_served_seconds_count", labels) or 0

    before = count("ALREADY_EXISTS")
    with acting(Caller(42)), capture_logs() as logs:
        await failure(failing(PhoneTaken()))
    assert count("ALREADY_EXISTS") == before + 1
    lines = [line for line in logs if line.get("rpc") == LOGOUT]
    assert len(lines) == 1
    assert (lines[0]["event"], lines[0]["status"], lines[0]["reason"]) == ("refused", "ALREADY_EXISTS", "PHONE_TAKEN")


async def test_an_error_in_the_midst_of_a_stream_travels_like_any_other() -> None:
    async def stream(request: bytes, context: object) -> AsyncIterator[bytes]:
        yield b"one"
        if request == b"fail":
            raise PhoneTaken

    grpc_server, _ = server.build(SETTINGS, [])
    handlers: Any = {"Stream": grpc.unary_stream_rpc_method_handler(stream)}
    grpc_server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Test", handlers),))
    port = grpc_server.add_insecure_port("127.0.0.1:0")
    await grpc_server.start()
    received: list[bytes] = []
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        call: Any = channel.unary_stream("/test.Test/Stream")
        metadata = ((SECRET_KEY, SETTINGS.internal_secret),)
        assert [part async for part in call(b"well", timeout=3, metadata=metadata)] == [b"one"]
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            received.extend([part async for part in call(b"fail", timeout=3, metadata=metadata)])
        with pytest.raises(grpc.aio.AioRpcError) as stranger:
            received.extend([part async for part in call(b"well", timeout=3)])
    await grpc_server.stop(0)
    assert not received and reason_of(refused.value) == "PHONE_TAKEN"
    assert reason_of(stranger.value) == "CREDENTIAL_MISSING"
