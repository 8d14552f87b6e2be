"""The server's interceptor: checks, measures, logs and error rendering for every RPC."""

from __future__ import annotations

import asyncio
import hmac
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from typing import Any, Self

import grpc
import grpc.aio
import structlog
from opentelemetry.trace import SpanKind
from redis.exceptions import RedisError
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from services.kit import context as ctx
from services.kit import telemetry
from services.kit.errors import (
    AWAY,
    FIELD_KEY,
    REASON_KEY,
    RETRY_AFTER_KEY,
    CacheUnavailable,
    DatabaseUnavailable,
    DeadlineTooShort,
    HitokError,
    Overloaded,
    Unauthenticated,
    Unavailable,
)
from services.kit.overload.admission import HERE, RETRY_AFTER, Rank

MIN_DEADLINE = 0.1  # seconds: with less, the answer would come too late
NO_DEADLINE = 86_400.0  # seconds
OPEN_SERVICES = ("/grpc.health.", "/grpc.reflection.")

log = structlog.get_logger("rpc")


class CredentialMissing(Unauthenticated):
    """The call does not come from a process of hitok."""


class ServerInterceptor(grpc.aio.ServerInterceptor):
    """Admits or refuses, checks the internal credential and the deadline, sets the context, logs, measures and renders
    errors."""

    def __init__(self, internal_secret: str, reads: Collection[str] = ()) -> None:
        """`reads`: the methods without side effects, as "/package.Service/Method"."""
        self._secret, self._reads = internal_secret.encode(), reads

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Any, Any] | None]],
        details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        handler = await continuation(details)
        method: str = details.method
        if handler is None or method.startswith(OPEN_SERVICES):
            return handler
        codec = {
            "request_deserializer": handler.request_deserializer,
            "response_serializer": handler.response_serializer,
        }
        streams = handler.request_streaming
        if handler.response_streaming:
            behaviour = self._streaming(method, handler.unary_stream or handler.stream_stream)
            wrap = grpc.stream_stream_rpc_method_handler if streams else grpc.unary_stream_rpc_method_handler
        else:
            behaviour = self._single(method, handler.unary_unary or handler.stream_unary)
            wrap = grpc.stream_unary_rpc_method_handler if streams else grpc.unary_unary_rpc_method_handler
        return wrap(behaviour, **codec)

    def _single(self, method: str, behaviour: Any) -> Any:
        rank = self._rank_of(method)

        async def serve(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
            async with _Call(method, rank, context) as call:
                self._enter(context, call)
                return await behaviour(request, context)

        return serve

    def _streaming(self, method: str, behaviour: Any) -> Any:
        rank = self._rank_of(method)

        async def serve(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> AsyncIterator[Any]:
            async with _Call(method, rank, context) as call:
                self._enter(context, call)
                async for response in behaviour(request, context):
                    yield response

        return serve

    def _rank_of(self, method: str) -> Rank:
        return Rank.READ if method in self._reads else Rank.WRITE

    def _enter(self, context: grpc.aio.ServicerContext[Any, Any], call: _Call) -> None:
        secret = str(call.metadata.get(ctx.SECRET_KEY, "")).encode()
        if not hmac.compare_digest(secret, self._secret):
            raise CredentialMissing
        remaining = context.time_remaining()
        if remaining is None or remaining > NO_DEADLINE:
            raise DeadlineTooShort("every call needs a deadline")
        if remaining < MIN_DEADLINE:
            raise DeadlineTooShort(f"{remaining * 1000:.0f} ms left")
        caller, request_id = ctx.from_metadata(call.metadata.items())
        ctx.current_caller.set(caller)
        ctx.current_request_id.set(request_id)
        ctx.current_deadline.set(asyncio.get_running_loop().time() + remaining)


class _Call:
    """One RPC, from its admission to its log line and the answer to its error."""

    def __init__(self, method: str, rank: Rank, context: grpc.aio.ServicerContext[Any, Any]) -> None:
        self._method, self._rank, self._context = method, rank, context

    async def __aenter__(self) -> Self:
        if not HERE.enter(self._rank):
            await shed(self._context)
        self._started = time.perf_counter()
        self.metadata = dict(ctx.metadata_of(self._context))
        carrier = {key: value for key, value in self.metadata.items() if isinstance(value, str)}
        self._span = telemetry.span(self._method, SpanKind.SERVER, carrier)
        self._span.__enter__()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: Any) -> None:
        try:
            fault = end_call(self._method, self._started, error)
            self._span.__exit__(kind, error, traceback)  # after the log line, which names the trace
            if fault:
                await abort(self._context, fault)
        finally:
            HERE.leave()


async def abort(context: grpc.aio.ServicerContext[Any, Any], fault: HitokError) -> None:
    trailer = [(REASON_KEY, fault.reason)]
    if fault.field:
        trailer.append((FIELD_KEY, fault.field))
    if fault.retry_after is not None:
        trailer.append((RETRY_AFTER_KEY, f"{fault.retry_after:.3f}"))
    await context.abort(fault.status, told_of(fault), tuple(trailer))


async def shed(context: grpc.aio.ServicerContext[Any, Any]) -> None:
    """Refuses a call before anything is done for it. It is counted, but not logged: there are thousands per second."""
    trailer = ((REASON_KEY, Overloaded.reason), (RETRY_AFTER_KEY, f"{RETRY_AFTER:.3f}"))
    await context.abort(Overloaded.status, Overloaded.reason, trailer)


def end_call(method: str, started: float, error: BaseException | None) -> HitokError | None:
    """Counts and logs an RPC that began at `started` (`time.perf_counter`). Returns the error to answer, if any."""
    seconds, fault = time.perf_counter() - started, None
    status = "OK" if error is None else "CANCELLED"
    if isinstance(error, Exception):
        fault = as_hitok_error(error)
        status = fault.status.name
    telemetry.SERVED.labels(method, status).observe(seconds)
    fields = {"rpc": method, "status": status, "ms": round(seconds * 1000, 2)}
    if fault is None:
        log.debug("served", **fields)
    elif fault.status is grpc.StatusCode.INTERNAL:
        log.error("failed", **fields, exc_info=error)
    else:
        log.info("refused", **fields, reason=fault.reason, detail=str(fault))
    return fault


def told_of(error: HitokError) -> str:
    """The error text for the caller. The text of an internal error stays in our log, since it may quote data."""
    return error.reason if error.status is grpc.StatusCode.INTERNAL else str(error)


def as_hitok_error(error: Exception) -> HitokError:
    """The error for the caller: ours unchanged, a server that is away as Unavailable, everything else as internal."""
    match error:
        case HitokError():
            return error
        case OperationalError() | InterfaceError() | PoolTimeout():
            return DatabaseUnavailable(type(error).__name__)
        case RedisError():
            return CacheUnavailable(type(error).__name__)
        case grpc.aio.AioRpcError() if error.code() in AWAY:
            return Unavailable(error.details() or "")
    return HitokError()
