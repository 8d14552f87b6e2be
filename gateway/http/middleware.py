"""The outermost layer of HTTP: per request an id, a log line, a measurement and the security headers."""

import re
import time
from collections.abc import Collection
from functools import cache
from typing import Any

import structlog
from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send
from opentelemetry.trace import Span, SpanKind
from prometheus_client import Histogram

from gateway.http.client_info import header_of
from gateway.http.error_answers import ERROR_HEADER, error_answer
from gateway.http.errors import HeadersTooLarge
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
TRACE_HEADERS = ("traceparent", "tracestate")
ERROR_NAME = ERROR_HEADER.encode()
SECURITY_NAMES = frozenset(name for name, _ in SECURITY_HEADERS)
PROBES = frozenset({"/health/live", "/health/ready", "/metrics"})  # asked every few seconds; logged only when they fail
# Not measured: an idle instance would be judged by its probes, and a busy one look better than it is.
UNMEASURED = PROBES | {"/docs", "/docs/{name}", "/openapi.json"}

SECONDS = Histogram(
    "hitok_http_seconds", "HTTP requests served", ["route", "method", "status"], buckets=telemetry.BUCKETS
)
log = structlog.get_logger("http")


class RequestMiddleware:
    """Around the whole application. WebSockets at `socket_paths` go to `sockets` at once.

    Litestar's layers do nothing for a socket, and each socket would keep them in memory.
    """

    def __init__(self, app: ASGIApp, sockets: ASGIApp, socket_paths: Collection[str]) -> None:
        self._app, self._sockets, self._socket_paths = app, sockets, socket_paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await (self._sockets if scope["path"] in self._socket_paths else self._app)(scope, receive, send)
            return
        given = header_of(scope, b"x-request-id") or ""
        request_id = given if REQUEST_ID.fullmatch(given) else new_request_id()
        current_request_id.set(request_id)
        scope["state"] = {}
        response = _Response(send, request_id)
        started = time.perf_counter()
        with telemetry.span(scope["method"], SpanKind.SERVER, _carrier(scope)) as span:
            try:
                if _head_bytes(scope) > MAX_HEADER_BYTES:
                    await refuse(scope, response.send, HeadersTooLarge())
                else:
                    await self._app(scope, receive, response.send)
            finally:
                self._record(scope, response, time.perf_counter() - started, span)

    def _record(self, scope: HTTPScope, response: "_Response", seconds: float, span: Span) -> None:
        # The template, not the path: a path may hold anything, and each would become a metric of its own.
        route, status = scope.get("path_template") or "unmatched", response.status
        if span.is_recording():
            span.update_name(f"{scope['method']} {route}")
            span.set_attributes({"http.route": route, "http.response.status_code": status})
        if route not in UNMEASURED:
            _seconds_of(route, scope["method"], status).observe(seconds)
        user_id = scope["state"].get("user_id", 0)
        ip = scope["client"][0] if scope["client"] else ""
        milliseconds = round(seconds * 1000, 2)
        write = log.debug if route in PROBES and status == 200 else log.info
        fields = {"method": scope["method"], "route": route, "status": status, "ms": milliseconds}
        write("request", **fields, user_id=user_id, ip=ip, **response.error)


@cache  # there are few routes, and Prometheus takes a lock for each lookup of labels
def _seconds_of(route: str, method: str, status: int) -> Histogram:
    return SECONDS.labels(route, method, status)


def _carrier(scope: HTTPScope) -> dict[str, str] | None:
    """The trace that the client is part of."""
    if not telemetry.is_tracing():
        return None
    return {name: value for name in TRACE_HEADERS if (value := header_of(scope, name.encode()))}


class _Response:
    """Remembers the status and the error, and adds the headers that every response has."""

    def __init__(self, send: Send, request_id: str) -> None:
        self._send, self._request_id = send, request_id
        self.status = 499  # stays if none is sent: the client has closed the connection
        self.error: dict[str, str] = {}  # the `reason` and the `field` of a refusal, for the log

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers: list[tuple[bytes, bytes]] = list(message.get("headers", ()))
            present = {name for name, _ in headers}
            if SECURITY_NAMES.isdisjoint(present):
                headers += SECURITY_HEADERS
            else:
                headers += [header for header in SECURITY_HEADERS if header[0] not in present]
            if ERROR_NAME in present:
                reason, _, field = dict(headers)[ERROR_NAME].decode().partition(" ")
                self.error = {"reason": reason, "field": field} if field else {"reason": reason}
            headers.append((b"x-request-id", self._request_id.encode()))
            message["headers"] = headers
        await self._send(message)


def _head_bytes(scope: HTTPScope) -> int:
    """Size of the target and of all headers, repeated ones included."""
    size = len(scope["raw_path"]) + len(scope["query_string"])
    for name, value in scope["headers"]:
        size += len(name) + len(value)
    return size


async def refuse(scope: HTTPScope, send: Any, error: Exception) -> None:
    answer = error_answer(scope["path"], error)
    headers = [(name.encode(), value.encode()) for name, value in answer.headers.items()]
    headers.append((b"content-length", b"%d" % len(answer.body)))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})


def record_shed(method: str) -> None:
    """A request that was refused before it reached the application."""
    _seconds_of("shed", method, 503).observe(0.0)
