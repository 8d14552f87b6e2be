"""Who may come in: the page's Origin, then a ticket, a header, or the token in the hello."""

from typing import Any
from urllib.parse import parse_qs, urlsplit

import grpc.aio
import msgspec
from litestar.types import Receive, Scope

from gateway.chat.tickets import Tickets
from gateway.config import GatewaySettings
from gateway.http.auth import Authenticator
from gateway.http.errors import ParameterInvalid
from gateway.ws.frames import Close, Frame, Hello, decode_frame, decode_hello, error_of
from services.kit.context import Caller
from services.kit.errors import HitokError


class Gone(Exception):
    """The client closed the socket, or we did."""


class Refused(Exception):
    """Of a hello; `cause` is what the client is told."""

    def __init__(self, code: Close, cause: Exception) -> None:
        super().__init__(code)
        self.code, self.cause = code, cause


class Door:
    def __init__(self, settings: GatewaySettings, tickets: Tickets, authenticator: Authenticator) -> None:
        self._origins = settings.chat_origins or settings.cors_origins
        self._tickets, self._authenticator = tickets, authenticator

    def may_come_from(self, scope: Scope) -> bool:
        """A browser names the page's Origin, and would send along what it has of ours; others name none."""
        origin, host = _header(scope, b"origin"), _header(scope, b"host")
        allowed = self._origins
        return origin is None or "*" in allowed or origin in allowed or urlsplit(origin).netloc == host

    async def greet(self, scope: Scope, receive: Receive) -> tuple[Caller, Frame, Hello]:
        """The caller and his hello. Raises Refused, Gone."""
        caller = await self._known_caller(scope)
        frame, hello = await _hello(receive)
        return caller or await self._caller_of(hello.token), frame, hello

    async def _known_caller(self, scope: Scope) -> Caller | None:
        """By the ticket or by the header; None if there is neither."""
        ticket = parse_qs(scope["query_string"].decode("latin-1")).get("ticket", [""])[0]
        header = _header(scope, b"authorization")
        if ticket:
            try:
                return await self._tickets.redeem(ticket)
            except (HitokError, grpc.aio.AioRpcError) as error:
                raise refusal_of(error) from None
        return await self._caller_of(header) if header else None

    async def _caller_of(self, token: str) -> Caller:
        try:
            return await self._authenticator.authenticate(self._authenticator.read(token))
        except (HitokError, grpc.aio.AioRpcError) as error:
            raise refusal_of(error) from None


async def next_text(receive: Receive) -> str:
    """The next frame's. Raises Gone, and Refused for a binary one."""
    message: Any = await receive()
    if message["type"] == "websocket.disconnect":
        raise Gone
    if message.get("text") is None:
        raise Refused(Close.PROTOCOL_ERROR, ParameterInvalid("frames are text"))
    text: str = message["text"]
    return text


async def _hello(receive: Receive) -> tuple[Frame, Hello]:
    while (text := await next_text(receive)) == "ping":
        pass
    try:
        frame = decode_frame(text)
        if frame.type != "hello":
            raise Refused(Close.PROTOCOL_ERROR, ParameterInvalid("the first frame is `hello`"))
        return frame, decode_hello(frame.data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refused(Close.PROTOCOL_ERROR, ParameterInvalid(str(error))) from None


def refusal_of(error: Exception) -> Refused:
    """A client comes back if it was no fault of his."""
    code = error_of(error).code
    known = code in ("unauthenticated", "token_expired", "forbidden", "bad_request", "not_found")
    return Refused(Close.UNAUTHENTICATED if known else Close.OVERLOADED, error)


def _header(scope: Scope, name: bytes) -> str | None:
    return next((value.decode("latin-1") for key, value in scope["headers"] if key == name), None)
