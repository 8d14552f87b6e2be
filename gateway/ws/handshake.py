"""Decides who may open a socket: the page's Origin, then a ticket, an Authorization header, or the hello's token."""

import asyncio
from typing import Any, NamedTuple
from urllib.parse import parse_qs

import grpc.aio
import msgspec
from litestar.types import Receive, Scope

from gateway.chat.tickets import Tickets
from gateway.config import GatewaySettings
from gateway.http.auth import Authenticator
from gateway.http.errors import ParameterInvalid, TokenMissing
from gateway.http.json_depth import check_depth
from gateway.http.origins import host_of, is_allowed
from gateway.ws.dialects.opening import Opening, Spoken, spoken_in
from gateway.ws.frames import Close, Frame, Hello, decode_frame, decode_hello, error_of
from services.kit.context import Caller
from services.kit.errors import HitokError


class Disconnected(Exception):
    """The socket is closed, by the client or by the gateway."""


class SocketRefused(Exception):
    """`code` closes the socket; `cause` becomes the error frame before it."""

    def __init__(self, code: Close, cause: Exception) -> None:
        super().__init__(code)
        self.code, self.cause = code, cause


class Greeting(NamedTuple):
    """The frame `hello`, and who said it."""

    caller: Caller
    frame: Frame
    hello: Hello


class ForeignGreeting(NamedTuple):
    """A first frame of a dialect, after an Authorization header."""

    caller: Caller
    spoken: Spoken


class Handshake:
    def __init__(self, settings: GatewaySettings, tickets: Tickets, authenticator: Authenticator) -> None:
        self._origins = settings.chat_origins or settings.cors_origins
        self._tickets, self._authenticator = tickets, authenticator

    def allows_origin(self, scope: Scope) -> bool:
        """Whether the page may connect. A client that is not a browser sends no Origin, and is allowed."""
        origin, host = _header(scope, b"origin"), _header(scope, b"host")
        return origin is None or is_allowed(origin, self._origins) or host_of(origin) == (host or "")

    async def receive_greeting(self, scope: Scope, receive: Receive, seconds: float) -> Greeting | ForeignGreeting:
        """The caller and their first frame, which has to come within `seconds`. Raises SocketRefused, Disconnected."""
        caller: Caller | None = None
        try:
            async with asyncio.timeout(seconds):
                caller = await self._caller_of_request(scope)
                text = await _first_frame(receive)
                spoken = spoken_in(text) if caller and _header(scope, b"authorization") else None
                if caller and spoken:
                    return ForeignGreeting(caller, spoken)
                frame, hello = _read_hello(text)
                return Greeting(caller or await self._caller_of_token(hello.token), frame, hello)
        except TimeoutError:
            if caller:
                missing = ParameterInvalid(f"no `hello` came within {seconds:g} s")
                raise SocketRefused(Close.PROTOCOL_ERROR, missing) from None
            raise SocketRefused(Close.UNAUTHENTICATED, TokenMissing()) from None

    async def greet(self, opening: Opening, seconds: float) -> ForeignGreeting:
        """The caller whom a URL or a subprotocol names. Raises SocketRefused."""
        try:
            async with asyncio.timeout(seconds):
                return ForeignGreeting(await self._caller_of_token(opening.token), Spoken(opening.dialect, ""))
        except TimeoutError as error:
            raise refusal_of(error) from None

    async def _caller_of_request(self, scope: Scope) -> Caller | None:
        """By the ticket or the header; None if the request has neither."""
        ticket = parse_qs(scope["query_string"].decode("latin-1")).get("ticket", [""])[0]
        header = _header(scope, b"authorization")
        if ticket:
            try:
                return await self._tickets.redeem(ticket)
            except (HitokError, grpc.aio.AioRpcError) as error:
                raise refusal_of(error) from None
        return await self._caller_of_token(header) if header else None

    async def _caller_of_token(self, token: str) -> Caller:
        """Raises SocketRefused."""
        try:
            return await self._authenticator.authenticate(self._authenticator.read(token))
        except (HitokError, grpc.aio.AioRpcError) as error:
            raise refusal_of(error) from None


async def next_text(receive: Receive) -> str:
    """The text of the next frame. Raises Disconnected; SocketRefused for a binary frame."""
    message: Any = await receive()
    if message["type"] == "websocket.disconnect":
        raise Disconnected
    if message.get("text") is None:
        raise SocketRefused(Close.PROTOCOL_ERROR, ParameterInvalid("frames are text"))
    text: str = message["text"]
    return text


async def _first_frame(receive: Receive) -> str:
    while (text := await next_text(receive)) == "ping":
        pass
    return text


def _read_hello(text: str) -> tuple[Frame, Hello]:
    try:
        frame = decode_frame(text)
        check_depth(text)
        if frame.type != "hello":
            raise SocketRefused(Close.PROTOCOL_ERROR, ParameterInvalid("the first frame is `hello`"))
        return frame, decode_hello(frame.data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise SocketRefused(Close.PROTOCOL_ERROR, ParameterInvalid(str(error))) from None


def refusal_of(error: Exception) -> SocketRefused:
    """With a code after which the client comes back, unless the error is the client's own."""
    code = error_of(error).code
    is_final = code in ("unauthenticated", "token_expired", "forbidden", "bad_request", "not_found")
    return SocketRefused(Close.UNAUTHENTICATED if is_final else Close.OVERLOADED, error)


def _header(scope: Scope, name: bytes) -> str | None:
    return next((value.decode("latin-1") for key, value in scope["headers"] if key == name), None)
