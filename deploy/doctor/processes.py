"""Checks that the services and the gateway report that they are ready."""

import time
from collections.abc import Awaitable, Callable
from email.utils import parsedate_to_datetime

import grpc
import grpc.aio
from grpc_health.v1 import health_pb2
from grpc_health.v1.health_pb2_grpc import HealthStub

from deploy.doctor.checks import CheckContext, Concern, Fault
from deploy.doctor.machine import clock_concern
from deploy.frontend import FrontEnd, Unreachable, open_http
from gateway.config import SERVICE as GATEWAY
from gateway.http.forwarding import TELL
from protos.export.v1 import export_pb2
from protos.export.v1.export_pb2_grpc import ExportStub
from services.kit.errors import reason_of
from services.kit.process.server import WHOLE
from services.kit.rpc.channel import open_channel
from services.kit.rpc.interceptors import CredentialMissing

SECONDS = 5.0
SERVING = health_pb2.HealthCheckResponse.SERVING


def check_service(name: str) -> Callable[[CheckContext], Awaitable[str]]:
    """Reaches the service at the address that the gateway uses."""

    async def check(context: CheckContext) -> str:
        settings = context.settings[GATEWAY]
        target = getattr(settings, f"{name}_target")
        async with open_channel(target, settings, [health_pb2.DESCRIPTOR]) as channel:
            try:
                answer = await HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=SECONDS)
                troubled = answer.status == SERVING and await _is_troubled(channel)
                stranger = answer.status == SERVING and await _refuses_secret(channel)
            except grpc.aio.AioRpcError as error:
                raise Fault(
                    f"{target} does not answer ({error.code().name}). Does it run, and is HITOK_{name.upper()}_TARGET"
                    " right? Its log says what it waits for"
                ) from None
        if answer.status != SERVING:
            raise Fault(f"{target} is not ready: its log says what it waits for")
        if stranger:
            raise Fault(
                f"{target} runs with another HITOK_INTERNAL_SECRET, and refuses this one. Give all processes the same,"
                " and restart those that were started before it changed"
            )
        if troubled:
            raise Fault(f"{target} serves, but a background task cannot do its work: its log says `in trouble`")
        return f"ready at {target}"

    return check


async def _is_troubled(channel: grpc.aio.Channel) -> bool:
    try:
        answer = await HealthStub(channel).Check(health_pb2.HealthCheckRequest(service=WHOLE), timeout=SECONDS)
    except grpc.aio.AioRpcError as error:
        if error.code() is grpc.StatusCode.NOT_FOUND:  # the service is of the previous release
            return False
        raise
    return bool(answer.status != SERVING)


async def _refuses_secret(channel: grpc.aio.Channel) -> bool:
    """By a call that every service serves, and refuses to whoever names no user."""
    try:
        await ExportStub(channel).ExportRows(export_pb2.ExportRowsRequest(), timeout=SECONDS)
    except grpc.aio.AioRpcError as error:
        return reason_of(error) == CredentialMissing.reason
    return False


def check_gateway(url: str) -> Callable[[CheckContext], Awaitable[str]]:
    async def check(_: CheckContext) -> str:
        async with open_http(url) as http:
            try:
                answer = await FrontEnd(http).call("GET", "/health/ready")
            except Unreachable as error:
                raise Fault(f"{error}. Is it running? Name another with --url") from None
        if answer.status_code != 200:
            raise Fault(f"{url} is not ready: {answer.status_code} {answer.text[:200].strip()}")
        if TELL.keys() & answer.headers.keys():
            raise Concern(
                f"ready at {url}, but HITOK_TRUSTED_PROXIES does not name the proxy in front: all users seem to come"
                " from it, and share one rate limit. The gateway's log names its address"
            )
        if "date" in answer.headers:
            sent = parsedate_to_datetime(answer.headers["date"]).timestamp()
            if concern := clock_concern("the gateway's machine (or the proxy's)", sent - time.time()):
                raise Concern(f"ready at {url}, but {concern}")
        return f"ready at {url}"

    return check
