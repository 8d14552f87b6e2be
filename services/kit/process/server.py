"""The life of a gRPC process: wait for its dependencies, serve, drain on SIGTERM."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Any

import grpc
import grpc.aio
import structlog
import uvloop
from google.protobuf.descriptor import FileDescriptor
from google.protobuf.descriptor_pb2 import MethodOptions
from grpc_health.v1 import health_pb2
from grpc_health.v1._async import HealthServicer
from grpc_health.v1.health_pb2_grpc import add_HealthServicer_to_server
from grpc_reflection.v1alpha import reflection

from services.kit import background, log, telemetry
from services.kit.config import ConfigError, ServiceSettings, refuse
from services.kit.overload.admission import HERE
from services.kit.process import gc_tuning
from services.kit.process.loop_lag import watch_loop
from services.kit.process.signals import stop_signal
from services.kit.rpc import tls
from services.kit.rpc.channel import KEEPALIVE_MS
from services.kit.rpc.interceptors import ServerInterceptor

MAX_CONCURRENT_RPCS = 1_000  # beyond this "try again" is a better answer than a queue
MAX_CONNECTION_AGE_MS = 300_000  # then a caller resolves our replicas again, so that new ones get calls
GRACE = 15.0  # seconds for the calls in flight after the port is closed
SERVED = 0.6  # of the time of draining; for the rest of it, callers that know other replicas send no calls any more
LIVE = "live"  # the name that a kubelet's liveness probe asks for
WHOLE = "whole"  # the name that the doctor asks for: not serving while a background task cannot do its work, either

Compose = Callable[[grpc.aio.Server], AbstractAsyncContextManager[None]]


def run(service: str, settings: ServiceSettings, protos: Sequence[FileDescriptor], compose: Compose) -> None:
    """Serves until SIGTERM or SIGINT. `compose` opens the service's resources and registers its servicers."""
    log.configure(settings, service)
    try:
        telemetry.start(settings, service, settings.metrics_port)
        uvloop.run(_serve(service, settings, protos, compose))
    except ConfigError as error:
        refuse(error)
    finally:
        telemetry.stop()
    if background.gave_up():
        raise SystemExit(1)


async def _serve(service: str, settings: ServiceSettings, protos: Sequence[FileDescriptor], compose: Compose) -> None:
    logger = structlog.get_logger(service)
    stopping = stop_signal()
    watch_loop()
    HERE.start(settings.queue_seconds)
    server, health = build(settings, protos)
    credentials = tls.server_credentials(tls.files_of(settings))
    port = _listen(server, settings.grpc_host, settings.grpc_port, credentials)
    async with _plain_health(health, settings):
        holding = asyncio.create_task(_hold(server, health, compose, stopping, settings.drain_seconds))
        holding.add_done_callback(lambda _: stopping.set())
        logger.info("starting", port=port)
        await stopping.wait()
        logger.info("stopping")
        if not health.serving:
            holding.cancel()  # still waiting for a dependency
        with suppress(asyncio.CancelledError):
            await holding
    logger.info("stopped")


async def _hold(
    server: grpc.aio.Server, health: "Health", compose: Compose, stopping: asyncio.Event, drain_seconds: float
) -> None:
    async with compose(server):
        await server.start()
        gc_tuning.freeze()
        await health.set_serving(True)
        structlog.get_logger("server").info("serving")
        await stopping.wait()
        health.serving = False
        await asyncio.sleep(drain_seconds * SERVED)
        await health.set_serving(False)
        await asyncio.sleep(drain_seconds * (1 - SERVED))
        await asyncio.gather(server.stop(GRACE), health.end_watches())


class Health(HealthServicer):  # type: ignore[misc]
    """The standard health service, with one answer for the whole process.

    `Check` reports NOT_SERVING as soon as the process is told to stop, and while a background task is down. `Watch`, by
    which channels choose among replicas, does late in the drain: until then a replica that has just begun can be found.
    """

    def __init__(self) -> None:
        super().__init__()
        self.serving = False
        self._watches: set[asyncio.Task[Any] | None] = set()

    async def Check(
        self, request: health_pb2.HealthCheckRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> health_pb2.HealthCheckResponse:
        asked = request.service
        if asked in ("", WHOLE) and not (self.serving and background.is_steady(asked == WHOLE)):
            return health_pb2.HealthCheckResponse(status=health_pb2.HealthCheckResponse.NOT_SERVING)
        return await super().Check(request, context)

    async def Watch(self, request: health_pb2.HealthCheckRequest, context: grpc.aio.ServicerContext[Any, Any]) -> None:
        self._watches.add(watch := asyncio.current_task())
        try:
            await super().Watch(request, context)
        finally:
            self._watches.discard(watch)

    async def end_watches(self) -> None:
        """Lets a server that is about to stop do so: it waits for every call."""
        for watch in self._watches:
            watch and watch.cancel()

    async def set_serving(self, serving: bool) -> None:
        self.serving = serving
        status = health_pb2.HealthCheckResponse.SERVING if serving else health_pb2.HealthCheckResponse.NOT_SERVING
        await self.set("", status)
        await self.set(WHOLE, status)


def build(settings: ServiceSettings, protos: Sequence[FileDescriptor]) -> tuple[grpc.aio.Server, Health]:
    """A server with our interceptor, health and, if enabled, reflection. It is neither bound nor started."""
    server = grpc.aio.server(
        interceptors=[ServerInterceptor(settings.internal_secret, reads_of(protos))],
        maximum_concurrent_rpcs=MAX_CONCURRENT_RPCS,
        options=[
            ("grpc.so_reuseport", 0),  # else a second process could share the port unnoticed
            ("grpc.http2.max_frame_size", 1024 * 1024),  # frames of 16 KiB, the default, halve the rate of uploads
            ("grpc.max_connection_age_ms", MAX_CONNECTION_AGE_MS),
            ("grpc.http2.min_ping_interval_without_data_ms", KEEPALIVE_MS // 2),
            ("grpc.keepalive_permit_without_calls", 1),
        ],
    )
    health = Health()
    add_HealthServicer_to_server(health, server)
    if settings.grpc_reflection:
        names = [service.full_name for proto in protos for service in proto.services_by_name.values()]
        reflection.enable_server_reflection([*names, reflection.SERVICE_NAME], server)
    return server, health


def reads_of(protos: Sequence[FileDescriptor]) -> frozenset[str]:
    """The methods without side effects, as gRPC names them in a call."""
    return frozenset(
        f"/{service.full_name}/{method.name}"
        for proto in protos
        for service in proto.services_by_name.values()
        for method in service.methods
        if method.GetOptions().idempotency_level == MethodOptions.NO_SIDE_EFFECTS
    )


def _listen(server: grpc.aio.Server, host: str, port: int, credentials: grpc.ServerCredentials | None) -> int:
    address = f"{host}:{port}"
    try:
        # Tried first: gRPC would log several lines of its own about a port in use.
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        socket.create_server((host.strip("[]"), port), family=family).close()
        return server.add_secure_port(address, credentials) if credentials else server.add_insecure_port(address)
    except (RuntimeError, OSError) as error:
        raise ConfigError(f"cannot listen on {address}: {error}") from None


@asynccontextmanager
async def _plain_health(health: Health, settings: ServiceSettings) -> AsyncIterator[None]:
    """Runs a second server with only the health service and without TLS: a kubelet's probes have no certificate.

    It answers from the start, while dependencies may still be missing: alive, but not serving.
    """
    if not settings.health_port:
        yield
        return
    await health.set_serving(False)
    await health.set(LIVE, health_pb2.HealthCheckResponse.SERVING)
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    add_HealthServicer_to_server(health, server)
    _listen(server, settings.grpc_host, settings.health_port, None)
    await server.start()
    try:
        yield
    finally:
        await server.stop(0)
