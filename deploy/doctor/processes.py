"""Whether the services and the gateway say that they are ready."""

from collections.abc import Awaitable, Callable

import grpc
import grpc.aio
from grpc_health.v1 import health_pb2
from grpc_health.v1.health_pb2_grpc import HealthStub

from deploy.doctor.examination import Fault, Patient
from deploy.frontend import FrontEnd, Unreachable, open_http
from gateway.config import SERVICE as GATEWAY
from services.kit.channel import open_channel

SECONDS = 5.0


def check_service(name: str) -> Callable[[Patient], Awaitable[str]]:
    """As the gateway reaches it."""

    async def look(patient: Patient) -> str:
        settings = patient.settings[GATEWAY]
        target = getattr(settings, f"{name}_target")
        async with open_channel(target, settings, [health_pb2.DESCRIPTOR]) as channel:
            try:
                answer = await HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=SECONDS)
            except grpc.aio.AioRpcError as error:
                raise Fault(
                    f"{target} does not answer ({error.code().name}). Does it run, and is HITOK_{name.upper()}_TARGET"
                    " right? Its log says what it waits for"
                ) from None
        if answer.status != health_pb2.HealthCheckResponse.SERVING:
            raise Fault(f"{target} is not ready: its log says what it waits for")
        return f"ready at {target}"

    return look


def check_gateway(url: str) -> Callable[[Patient], Awaitable[str]]:
    async def look(_: Patient) -> str:
        async with open_http(url) as http:
            try:
                status = (await FrontEnd(http).call("GET", "/health/ready")).status_code
            except Unreachable as error:
                raise Fault(f"{error}. Is it running? Name another with --url") from None
        if status != 200:
            raise Fault(f"{url} is not ready ({status}): its log says what it waits for")
        return f"ready at {url}"

    return look
