"""What an overloaded gateway does with a request whose head has arrived (docs/adr/0014-overload-is-refused.md).

A request that is refused must cost a small part of one that is served, else refusing takes what serving needs. So it
is answered by the connection, with bytes that were made before, and no task begins for it. Where the answer depends on
the layers around the application (pages of other origins, clients of the originals), it passes them.
"""

from collections.abc import Callable
from functools import cache
from itertools import count
from typing import Any

from litestar.enums import ScopeType
from litestar.types import ASGIApp, Receive, Scope, Send

from gateway.http.envelopes import Family, family_of
from gateway.http.error_answers import error_answer
from gateway.http.middleware import SECURITY_HEADERS, record_shed, refuse
from gateway.http.sendfile import SENDFILE
from services.kit.errors import Overloaded
from services.kit.overload.admission import HERE, Rank

SLOT = "hitok.slot"  # key in the scope of a request that holds a place in HERE
REFUSED = "hitok.refused"  # key in the scope of a request that the layers' innermost answers
ALWAYS = (b"/health/", b"/metrics")
# Their duration is the client's: they are refused like others, but hold no place while their bytes travel.
TRANSFERS = (b"/media/", b"/api/file/", b"/api/user/export")
READING = (b"GET", b"HEAD", b"OPTIONS")
MOST_SECONDS = 3  # of `retry-after`: 1, 2 and 3 in turn, so that those who obey do not all come back at once

_turn = count()


def rank_of(method: bytes, url: bytes) -> Rank | None:
    """None: always admitted."""
    if method in READING or b"/get-" in url:
        return None if url.startswith(ALWAYS) else Rank.READ
    return Rank.WRITE


def holds_place(url: bytes) -> bool:
    return not url.startswith(TRANSFERS)


def refusal_of(method: bytes, url: bytes, keep_alive: bool) -> bytes:
    """The whole answer, in the envelope of the path's family."""
    return refusal_for(family_of(url.decode("latin-1")), method.decode("latin-1"), keep_alive)


def refusal_for(family: Family, method: str, keep_alive: bool) -> bytes:
    record_shed(method)
    return _answer(family, keep_alive, next(_turn) % MOST_SECONDS + 1)


@cache
def _answer(family: Family, keep_alive: bool, seconds: int) -> bytes:
    answer = error_answer(family.prefixes[0], Overloaded(retry_after=seconds))
    lines = [f"{name}: {value}" for name, value in answer.headers.items()]
    lines += [f"{name.decode()}: {value.decode()}" for name, value in SECURITY_HEADERS]
    lines += [f"content-length: {len(answer.body)}", *([] if keep_alive else ["connection: close"])]
    head = "\r\n".join((f"HTTP/1.1 {answer.status} Service Unavailable", *lines))
    return f"{head}\r\n\r\n".encode() + answer.body


def leaving(app: ASGIApp) -> Callable[[Scope, Receive, Send], Any]:
    """The outermost layer: gives a request's place back when the application is done with it.

    It also breaks the circle that leads from the scope back to it, else only the garbage collector would free a
    request, with pauses of up to 0.4 s under load.
    """

    async def call(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await app(scope, receive, send)
        finally:
            if SLOT in scope:
                HERE.leave()
            scope.pop(SENDFILE, None)  # type: ignore[misc]

    return call


def refusing(app: ASGIApp) -> ASGIApp:
    """The innermost layer."""

    async def call(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == ScopeType.HTTP and REFUSED in scope:
            await refuse(scope, send, Overloaded(retry_after=next(_turn) % MOST_SECONDS + 1))
        else:
            await app(scope, receive, send)

    return call
