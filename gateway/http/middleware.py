"""The outermost layer of HTTP: request id, one log line and one measurement a request, security headers."""

import re
import time
from functools import cache
from typing import Any

import structlog
from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send
from opentelemetry.trace import Span, SpanKind
from prometheus_client import Histogram

from gateway.http.client_info import header_of
from gateway.http.envelopes import family_of
from gateway.http.errors import HeadersTooLarge, failure_of
from gateway.ws.endpoint import PATHS
from services.kit import telemetry
from services.kit.context import current_request_id, new_request_id

MAX_HEADER_BYTES = 16 * 1024
REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
SECURITY_HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
]
SECURITY_NAMES = frozenset(name for name, _ in SECURITY_HEADERS)
PROBES = frozenset({"/health/live", "/health/ready", "/metrics"})  # asked every few seconds, to be told the same

SECONDS = Histogram(
    "hitok_http_seconds", "HTTP requests served", ["route", "method", "status"], buckets=telemetry.BUCKETS
)
log = structlog.get_logger("http")


class RequestMiddleware:
    """Sockets go to theirs at once: Litestar's layers do nothing for them, and each socket would keep them all."""

    def __init__(self, app: ASGIApp, sockets: ASGIApp) -> None:
        self._app, self._sockets = app, sockets

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await (self._sockets if scope["path"] in PATHS else self._app)(scope, receive, send)
            return
        given = header_of(scope, b"x-request-id") or ""
        request_id = given if REQUEST_ID.fullmatch(given) else new_request_id()
        current_request_id.set(request_id)
        structlog.contextvars.bind_contextvars(request_id=request_id)
        scope["state"] = {}
        answer = _Answer(send, request_id)
        started = time.perf_counter()
        with telemetry.span(scope["method"], SpanKind.SERVER, _carrier(scope)) as span:
            try:
                if _head_bytes(scope) > MAX_HEADER_BYTES:
                    await _refuse(scope, answer.send)
                else:
                    await self._app(scope, receive, answer.send)
            finally:
                self._record(scope, answer.status, time.perf_counter() - started, span)

    def _record(self, scope: HTTPScope, status: int, seconds: float, span: Span) -> None:
        # The template, not the path: a path may hold anything, and each would be a metric of its own.
        route = scope.get("path_template") or "unmatched"
        if span.is_recording():
            span.update_name(f"{scope['method']} {route}")
            span.set_attributes({"http.route": route, "http.response.status_code": status})
        _seconds_of(route, scope["method"], status).observe(seconds)
        user_id = scope["state"].get("user_id", 0)
        ip = scope["client"][0] if scope["client"] else ""
        milliseconds = round(seconds * 1000, 2)
        tell = log.debug if route in PROBES and status == 200 else log.info
        tell("request", method=scope["method"], route=route, status=status, ms=milliseconds, user_id=user_id, ip=ip)


@cache  # routes are few, and Prometheus looks its children up under a lock
def _seconds_of(route: str, method: str, status: int) -> Histogram:
    return SECONDS.labels(route, method, status)


def _carrier(scope: HTTPScope) -> dict[str, str] | None:
    if not telemetry.is_tracing():
        return None
    return {name: value for name in TRACE_HEADERS if (value := header_of(scope, name.encode()))}


TRACE_HEADERS = ("traceparent", "tracestate")


class _Answer:
    """The way out: remembers the status, adds the headers that every answer has."""

    def __init__(self, send: Send, request_id: str) -> None:
        self._send, self._request_id = send, request_id
        self.status = 499  # until one is sent: the client went away

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers: list[tuple[bytes, bytes]] = list(message.get("headers", ()))
            present = {name for name, _ in headers}
            none = SECURITY_NAMES.isdisjoint(present)
            headers += SECURITY_HEADERS if none else [each for each in SECURITY_HEADERS if each[0] not in present]
            headers.append((b"x-request-id", self._request_id.encode()))
            message["headers"] = headers
        await self._send(message)


def _head_bytes(scope: HTTPScope) -> int:
    """Target and headers, each as often as it came."""
    size = len(scope["raw_path"]) + len(scope["query_string"])
    for name, value in scope["headers"]:
        size += len(name) + len(value)
    return size


async def _refuse(scope: HTTPScope, send: Any) -> None:
    failure = failure_of(HeadersTooLarge.reason)
    body = family_of(scope["path"]).failure(failure)
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": failure.http, "headers": headers})
    await send({"type": "http.response.body", "body": body})
