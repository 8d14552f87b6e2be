"""Where the code of the original hichat and its document differ, as its code has it (docs/contract/compat.md)."""

from typing import Any

from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from gateway.http.client_info import WEB_APP_HEADER, header_of
from gateway.http.envelopes import CHAT, family_of
from gateway.http.error_answers import ERROR_HEADER

WRONG_PASSWORD = (ERROR_HEADER.encode(), b"CREDENTIALS_WRONG")
SWAPPED = {1: 2, 2: 1}


def read_class(direction: int) -> int:
    """Of a list of friend requests, in the document's meaning: the code has 1 for those to the caller."""
    return SWAPPED.get(direction, direction)


class HichatOriginal:
    """ASGI, around the whole application: a wrong password is answered with 400."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_meant = scope["type"] == ScopeType.HTTP and family_of(scope["path"]) is CHAT
        if is_meant and header_of(scope, WEB_APP_HEADER) is None:
            send = _with_400(send)
        await self._app(scope, receive, send)


def _with_400(send: Send) -> Send:
    async def answer(message: Message) -> None:
        event: Any = message
        if event["type"] == "http.response.start" and WRONG_PASSWORD in list(event["headers"]):
            event["status"] = 400
        await send(event)

    return answer
