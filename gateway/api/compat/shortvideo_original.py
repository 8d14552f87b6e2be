"""Answers as the front end of the original short-video app reads them (docs/contract/compat.md): always HTTP 200, with
the code in the body; code 200 where that front end looks for it; any bad token as expired; one more path.

It dresses answers that were given, so who may do what stays as it is.
"""

from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPResponseStartEvent, Message, Receive, Scope, Send

from gateway.http.client_info import WEB_APP_HEADER, header_of
from gateway.http.envelopes import SHORT_VIDEO, family_of
from gateway.http.error_answers import ERROR_HEADER
from gateway.http.failures import failure_of
from services.kit.tokens import TokenExpired

PREFIX, RESUMABLE = "/api/", "/api/file/tus"  # resumable uploads need their status; the original has none
REFRESH = "/api/login/refresh-token"
ALIASES = {"/api/refresh-token": REFRESH}
PLAIN_200 = frozenset({"/api/videos", "/api/file/upload", REFRESH})
SUCCESS, PLAIN_SUCCESS = b'{"code":20000,', b'{"code":200,'
BAD_TOKENS = frozenset({"TOKEN_INVALID", "SESSION_ENDED", "WRONG_TOKEN_CLASS", "TOKEN_MALFORMED"})


class ShortVideoOriginal:
    """ASGI, around the whole application: logs and metrics keep the status that the original would not show.

    Our own web app reads the documented answers; its requests pass unchanged.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == ScopeType.HTTP and _is_meant(scope):
            path = ALIASES.get(scope["path"].rstrip("/"))
            if path:
                scope["path"], scope["raw_path"] = path, path.encode()
            send = _Answer(send, scope["path"].rstrip("/")).send
        await self._app(scope, receive, send)


def _is_meant(scope: Scope) -> bool:
    path = scope["path"]
    is_ours = path.startswith(PREFIX) and not path.startswith(RESUMABLE) and family_of(path) is SHORT_VIDEO
    return is_ours and header_of(scope, WEB_APP_HEADER) is None


class _Answer:
    """Holds the head of the answer back until its body is known: JSON in one piece."""

    def __init__(self, send: Send, path: str) -> None:
        self._send, self._path = send, path
        self._start: HTTPResponseStartEvent | None = None

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._start = message
            return
        if self._start and message["type"] == "http.response.body":
            start, self._start = self._start, None
            message["body"] = self._dress(start, message.get("body", b""))
            await self._send(start)
        await self._send(message)

    def _dress(self, start: HTTPResponseStartEvent, body: bytes) -> bytes:
        """The body to send; sets the status and the length."""
        headers = dict(start["headers"])
        error = headers.get(ERROR_HEADER.encode(), b"").decode().partition(" ")[0]
        if error:
            start["status"] = 200
        if error in BAD_TOKENS and self._path != REFRESH:
            body = SHORT_VIDEO.failure(failure_of(TokenExpired.reason))
        elif self._path in PLAIN_200 and body.startswith(SUCCESS):
            body = PLAIN_SUCCESS + body.removeprefix(SUCCESS)
        if b"content-length" in headers and start["status"] == 200:
            others = [header for header in start["headers"] if header[0] != b"content-length"]
            start["headers"] = [*others, (b"content-length", b"%d" % len(body))]
        return body
