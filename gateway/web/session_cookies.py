"""The session of the web app: its tokens are in cookies that no script can read.

The app uses the documented routes and never sees a token. Answers that carry tokens leave them in HttpOnly cookies, and
the cookies stand in for the Authorization header, but only on requests that a page of ours alone can make: with the
header `X-Hitok-Web`, which a page of another origin cannot send without a CORS preflight that we refuse, and from the
same origin by what the browser says. Without that header a cookie is never read, so other clients notice nothing.
"""

from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

import msgspec
from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send

from gateway.http.client_info import WEB_APP_HEADER, header_of
from gateway.http.origins import host_of

REFRESH, LOGOUT = "/api/login/refresh-token", "/api/login/logout"
ISSUING = frozenset(
    {"/api/login/register", "/api/login/login", REFRESH}
    | {"/api/v1/user/register", "/api/v1/user/login", "/api/v2/user/login"}
)
ACCESS, RENEWAL = "hitok_atoken", "hitok_rtoken"
# The tokens' own expiry ends a session. Browsers keep a cookie for at most 400 days.
KEPT_SECONDS = 400 * 86_400


class SessionCookies:
    """ASGI, around the application."""

    def __init__(self, app: ASGIApp, public_url: str) -> None:
        self._app, self._public = app, urlsplit(public_url)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP or not self._is_of_app(scope):
            await self._app(scope, receive, send)
            return
        path, cookies = scope["path"], _Cookies(scope, self._is_secure(scope))
        if path == REFRESH:
            receive = _with_body(scope, msgspec.json.encode({"rtoken": cookies.read(RENEWAL)}))
        elif (token := cookies.read(ACCESS)) and header_of(scope, b"authorization") is None:
            scope["headers"] = [*scope["headers"], (b"authorization", f"Bearer {token}".encode("latin-1"))]
        if path in ISSUING:
            send = _Answer(send, cookies, is_refresh=path == REFRESH).send
        elif path == LOGOUT:
            send = _clearing(send, cookies)
        await self._app(scope, receive, send)

    def _is_of_app(self, scope: HTTPScope) -> bool:
        return header_of(scope, WEB_APP_HEADER) is not None and self._is_same_origin(scope)

    def _is_same_origin(self, scope: HTTPScope) -> bool:
        """By every header in which the browser says it; a GET over plain HTTP may have none besides WEB_APP_HEADER."""
        site, origin = header_of(scope, b"sec-fetch-site"), header_of(scope, b"origin")
        if site not in (None, "same-origin"):
            return False
        return origin is None or (host_of(origin) or "") in (header_of(scope, b"host"), self._public.netloc or None)

    def _is_secure(self, scope: HTTPScope) -> bool:
        return scope["scheme"] == "https" or self._public.scheme == "https"


class _Cookies:
    def __init__(self, scope: HTTPScope, is_secure: bool) -> None:
        # The prefix keeps other hosts of the domain from setting the cookie; browsers accept it only with Secure.
        self._prefix, self._secure = ("__Host-", "; Secure") if is_secure else ("", "")
        header = "; ".join(str(value, "latin-1") for name, value in scope["headers"] if name == b"cookie")
        pairs = (pair.strip().partition("=") for pair in header.split(";"))
        self._values = {name: value for name, _, value in pairs}

    def read(self, name: str) -> str:
        """ "" if there is none."""
        return self._values.get(self._prefix + name, "")

    def set(self, name: str, value: str) -> tuple[bytes, bytes]:
        """The header of an answer; an empty value removes the cookie."""
        kept = KEPT_SECONDS if value else 0
        cookie = f"{self._prefix}{name}={value}; Path=/; Max-Age={kept}; HttpOnly; SameSite=Strict{self._secure}"
        return b"set-cookie", cookie.encode("latin-1")

    def clear(self) -> list[tuple[bytes, bytes]]:
        return [self.set(ACCESS, ""), self.set(RENEWAL, "")]


class _Answer:
    """Holds an answer back until it is whole, and moves its tokens into cookies."""

    def __init__(self, send: Send, cookies: _Cookies, is_refresh: bool) -> None:
        self._send, self._cookies, self._is_refresh = send, cookies, is_refresh
        self._start: Any = None
        self._body = b""

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._start = message
        elif message["type"] == "http.response.body":
            self._body += message.get("body", b"")
            if not message.get("more_body"):
                await self._finish()

    async def _finish(self) -> None:
        headers: Iterable[tuple[bytes, bytes]] = self._start.get("headers", ())
        if self._start["status"] == 200:
            self._body, added = self._move_tokens()
            kept = [header for header in headers if header[0].lower() != b"content-length"]
            self._start["headers"] = [*kept, (b"content-length", b"%d" % len(self._body)), *added]
        await self._send(self._start)
        await self._send({"type": "http.response.body", "body": self._body, "more_body": False})

    def _move_tokens(self) -> tuple[bytes, list[tuple[bytes, bytes]]]:
        answer = msgspec.json.decode(self._body)
        data: dict[str, Any] = answer["data"]
        access = data.pop("atoken", "") or data.pop("token", "")
        added = [self._cookies.set(ACCESS, access)]
        if not self._is_refresh:  # a login without a refresh token replaces another user's
            added.append(self._cookies.set(RENEWAL, data.pop("rtoken", "")))
        return msgspec.json.encode(answer), added


def _with_body(scope: HTTPScope, body: bytes) -> Receive:
    """A request whose body is `body`, whatever the client sent."""
    replaced = (b"content-length", b"content-type", b"transfer-encoding")
    headers = [header for header in scope["headers"] if header[0] not in replaced]
    scope["headers"] = [*headers, (b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]

    async def receive() -> Any:
        return {"type": "http.request", "body": body, "more_body": False}

    return receive


def _clearing(send: Send, cookies: _Cookies) -> Send:
    """Also after a refusal: a session that has ended already needs no cookie either."""

    async def send_cleared(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", ()), *cookies.clear()]
        await send(message)

    return send_cleared
