"""Which pages of other origins may call the API: over HTTP by CORS, and at a WebSocket handshake."""

import re
from collections.abc import Collection
from typing import Any
from urllib.parse import urlsplit

from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send

from gateway.config import GatewaySettings
from gateway.http.client_info import header_of
from gateway.http.error_answers import error_answer
from gateway.http.errors import NotPermitted

ANY, LOOPBACK = "*", "loopback"  # values that the settings may hold besides origins
LOOPBACK_ORIGIN = r"https?://(localhost|127\.0\.0\.1|\[::1\])(:\d{1,5})?"  # such as a front end's development server

METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
REQUEST_HEADERS = ["accept", "accept-language", "content-language", "content-type"]  # which the standard allows anyway
REQUEST_HEADERS += ["authorization", "range", "x-request-id"]
# Headers of our answers that scripts may read.
RESPONSE_HEADERS = ["x-error", "x-request-id", "retry-after", "content-range", "location", "x-file-url"]
# The headers that a tus client in a browser sends, and those it reads.
TUS_REQUEST = ["tus-resumable", "upload-checksum", "upload-length", "upload-metadata", "upload-offset"]
TUS_RESPONSE = ["tus-resumable", "tus-version", "tus-extension", "tus-max-size", "upload-expires", "upload-offset"]
MAX_AGE_SECONDS = 600  # for which a browser may remember a preflight
ASKED_METHOD, ASKED_HEADERS = b"access-control-request-method", b"access-control-request-headers"

RawHeaders = list[tuple[bytes, bytes]]


def is_allowed(origin: str, allowed: Collection[str]) -> bool:
    """`allowed` holds origins, and may hold ANY or LOOPBACK."""
    if ANY in allowed or origin in allowed:
        return origin != LOOPBACK
    return LOOPBACK in allowed and re.fullmatch(LOOPBACK_ORIGIN, origin) is not None


def host_of(origin: str) -> str | None:
    """Host and port of an Origin header; None for one that is no origin, such as `http://[`."""
    try:
        return urlsplit(origin).netloc or None
    except ValueError:
        return None


class CrossOrigin:
    """ASGI: answers preflights, and lets pages of allowed origins read answers (CORS, in WHATWG's Fetch standard).

    Litestar's own layer decodes every header of every request, and its `Vary` replaces that of a route.
    Credentials, that is cookies, are allowed only for origins that the settings name: else any page could use them.
    """

    def __init__(self, app: ASGIApp, settings: GatewaySettings, cached_prefix: str) -> None:
        """`cached_prefix`: of paths whose answers a shared cache may keep, and give to a page of any origin."""
        self._app, self._origins, self._cached_prefix = app, settings.cors_origins, cached_prefix
        self._request_headers = frozenset([*REQUEST_HEADERS, *TUS_REQUEST, *map(str.lower, settings.cors_headers)])
        self._exposed: RawHeaders = [
            (b"access-control-expose-headers", ", ".join([*RESPONSE_HEADERS, *TUS_RESPONSE]).encode())
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await self._app(scope, receive, send)
            return
        origin = header_of(scope, b"origin")
        if origin is None and not scope["path"].startswith(self._cached_prefix):
            await self._app(scope, receive, send)
        elif origin is not None and (method := _preflight_method(scope)):
            await self._answer_preflight(scope, origin, method, send)
        else:
            await self._app(scope, receive, self._share(send, origin))

    def _share(self, send: Send, origin: str | None) -> Send:
        added = self._allowance(origin)
        if added:
            added += self._exposed
        if ANY not in self._origins:
            added = [*added, (b"vary", b"origin")]  # also for who sent none: a cache must not answer others with it

        async def send_shared(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *added]
            await send(message)

        return send_shared

    def _allowance(self, origin: str | None) -> RawHeaders:
        """Empty if the page may not read the answer."""
        if ANY in self._origins:
            return [(b"access-control-allow-origin", b"*")]
        if origin is None or not is_allowed(origin, self._origins):
            return []
        return [
            (b"access-control-allow-origin", origin.encode("latin-1")),
            (b"access-control-allow-credentials", b"true"),
        ]

    async def _answer_preflight(self, scope: HTTPScope, origin: str, method: str, send: Send) -> None:
        asked = [name.strip() for name in (header_of(scope, ASKED_HEADERS) or "").lower().split(",") if name.strip()]
        if at_fault := self._find_fault(origin, method, asked):
            answer = error_answer(scope["path"], NotPermitted(field=at_fault))
            status, body = answer.status, answer.body
            headers = [(name.encode(), value.encode("latin-1")) for name, value in answer.headers.items()]
        else:
            status, body, headers = 204, b"", [*self._allowance(origin), *self._permissions(asked)]
        headers += [(b"vary", b"origin"), (b"content-length", b"%d" % len(body))]
        start: Any = {"type": "http.response.start", "status": status, "headers": headers}
        await send(start)
        await send({"type": "http.response.body", "body": body, "more_body": False})

    def _permissions(self, asked: Collection[str]) -> RawHeaders:
        names = ", ".join(sorted(self._request_headers.union(asked)))
        return [
            (b"access-control-allow-methods", ", ".join(METHODS).encode()),
            (b"access-control-allow-headers", names.encode("latin-1")),
            (b"access-control-max-age", b"%d" % MAX_AGE_SECONDS),
        ]

    def _find_fault(self, origin: str, method: str, asked: Collection[str]) -> str:
        """The header of the preflight that asks for too much; "" if none does."""
        if not is_allowed(origin, self._origins):
            return "origin"
        if method not in METHODS:
            return ASKED_METHOD.decode()
        if ANY not in self._request_headers and not self._request_headers.issuperset(asked):
            return ASKED_HEADERS.decode()
        return ""


def _preflight_method(scope: HTTPScope) -> str | None:
    """The method that the page wants to use. An OPTIONS without it is a request as any other (tus has one)."""
    return header_of(scope, ASKED_METHOD) if scope["method"] == "OPTIONS" else None
