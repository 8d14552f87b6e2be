"""Client channels: timeouts, retries of repeatable calls, fast reconnects, and our credential on each call."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import grpc
import grpc.aio
import structlog
from google.protobuf.descriptor import FileDescriptor
from google.protobuf.descriptor_pb2 import MethodOptions
from grpc.aio import ClientCallDetails
from opentelemetry.trace import SpanKind

from services.kit import context as ctx
from services.kit import telemetry
from services.kit.config import Settings
from services.kit.rpc import tls

REFUSED_KEY = "x-refused"  # in initial metadata: stop sending the stream, it is refused
DEFAULT_TIMEOUT = 3.0  # seconds, for a call without a timeout
KEEPALIVE_MS = 20_000
_unimplemented: set[str] = set()  # methods that were reported
log = structlog.get_logger("rpc")
Continuation = Callable[..., Awaitable[Any]]
RETRY = {
    "maxAttempts": 3,
    "initialBackoff": "0.05s",
    "maxBackoff": "0.5s",
    "backoffMultiplier": 3,
    # A stopping server cancels what it has received, but not begun.
    "retryableStatusCodes": ["UNAVAILABLE", "CANCELLED"],
}


def open_channel(target: str, settings: Settings, protos: Iterable[FileDescriptor]) -> grpc.aio.Channel:
    """A channel to `target` (host:port; all replicas: dns:///name:port, or ipv4:host:port,…).

    Methods that a proto declares NO_SIDE_EFFECTS or IDEMPOTENT are tried again (RETRY), no others are. A channel to
    all replicas leaves one that is about to stop before it stops: a stopping server cancels what it has not begun.
    Raises ConfigError if only some of the TLS settings are set.
    """
    watched = {"healthCheckConfig": {"serviceName": ""}} if ":///" in target or "," in target else {}
    options = [
        ("grpc.enable_http_proxy", 0),  # our services are never behind a proxy
        ("grpc.service_config", json.dumps(_service_config(protos) | watched)),
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.min_reconnect_backoff_ms", 600),  # how long connecting may take: less than a caller waits for a refusal
        ("grpc.max_reconnect_backoff_ms", 400),
        ("grpc.keepalive_time_ms", KEEPALIVE_MS),
        ("grpc.keepalive_timeout_ms", 5_000),
        ("grpc.keepalive_permit_without_calls", 1),
    ]
    outgoing = _Outgoing(settings.internal_secret)
    interceptors = [_OutgoingUnary(outgoing), _OutgoingStream(outgoing), _OutgoingQuestion(outgoing)]
    credentials = tls.channel_credentials(tls.files_of(settings))
    if credentials is None:
        return grpc.aio.insecure_channel(target, options, interceptors=interceptors)
    return grpc.aio.secure_channel(target, credentials, options, interceptors=interceptors)


def _service_config(protos: Iterable[FileDescriptor]) -> dict[str, Any]:
    repeatable = [
        {"service": service.full_name, "method": method.name}
        for proto in protos
        for service in proto.services_by_name.values()
        for method in service.methods
        if method.GetOptions().idempotency_level != MethodOptions.IDEMPOTENCY_UNKNOWN
    ]
    return {
        "loadBalancingConfig": [{"round_robin": {}}],
        "methodConfig": [{"name": repeatable, "retryPolicy": RETRY}],
        "retryThrottling": {"maxTokens": 100, "tokenRatio": 0.1},
    }


class _Outgoing:
    """Adds timeout, credential, caller, request id and trace to each call, and measures it."""

    def __init__(self, internal_secret: str) -> None:
        self._secret = internal_secret

    async def start(self, continuation: Continuation, details: ClientCallDetails, request: Any) -> Any:
        metadata = grpc.aio.Metadata(*ctx.to_metadata(self._secret), *telemetry.trace_headers().items())
        timeout = _timeout(details.timeout)
        return await continuation(
            ClientCallDetails(details.method, timeout, metadata, details.credentials, details.wait_for_ready), request
        )

    async def watch(self, call: Any, method: str, started: float) -> None:
        """Waits until the call has ended. Cancelling this cancels the call."""
        try:
            status = await call.code()
        except asyncio.CancelledError:
            call.cancel()  # else the service would keep working for nobody
            raise
        telemetry.CALLED.labels(method, status.name).observe(time.perf_counter() - started)
        if status is grpc.StatusCode.UNIMPLEMENTED and method not in _unimplemented:
            _unimplemented.add(method)
            log.warning("the service does not know this method; it may be of an older release", rpc=method)


# Three classes, since a channel uses an interceptor only for the first kind that it implements.
class _OutgoingUnary(grpc.aio.UnaryUnaryClientInterceptor):
    def __init__(self, outgoing: _Outgoing) -> None:
        self._outgoing = outgoing

    async def intercept_unary_unary(self, continuation: Any, details: ClientCallDetails, request: Any) -> Any:
        method, started = _name(details), time.perf_counter()
        with telemetry.span(method, SpanKind.CLIENT):
            call = await self._outgoing.start(continuation, details, request)
            await self._outgoing.watch(call, method, started)
            return call


class _Open:
    """For calls with streams: returns the call at once, since part of its answer comes before its end."""

    def __init__(self, outgoing: _Outgoing) -> None:
        self._outgoing = outgoing
        self._watching: set[asyncio.Task[None]] = set()

    async def _start(self, continuation: Continuation, details: ClientCallDetails, request: Any) -> Any:
        method, started = _name(details), time.perf_counter()
        with telemetry.span(method, SpanKind.CLIENT):
            call = await self._outgoing.start(continuation, details, request)
        watching = asyncio.create_task(self._outgoing.watch(call, method, started))
        self._watching.add(watching)
        watching.add_done_callback(self._watching.discard)
        return call


class _OutgoingStream(_Open, grpc.aio.StreamUnaryClientInterceptor):
    async def intercept_stream_unary(self, continuation: Any, details: ClientCallDetails, requests: Any) -> Any:
        return await self._start(continuation, details, requests)


class _OutgoingQuestion(_Open, grpc.aio.UnaryStreamClientInterceptor):
    async def intercept_unary_stream(self, continuation: Any, details: ClientCallDetails, request: Any) -> Any:
        return await self._start(continuation, details, request)


def _name(details: ClientCallDetails) -> str:
    return details.method.decode() if isinstance(details.method, bytes) else details.method


def _timeout(asked: float | None) -> float:
    """The timeout in seconds: as asked, but no longer than the request that this call is made for may still take."""
    timeout = DEFAULT_TIMEOUT if asked is None else asked
    deadline = ctx.current_deadline.get()
    if deadline is not None:
        timeout = min(timeout, deadline - asyncio.get_running_loop().time())
    return max(timeout, 0.0)
