"""The WebSocket endpoint: opens sockets, reads the hello, serves frames, and closes all sockets when the process stops.

It is the composition root of this folder: only here are its parts put together.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import TypeVar

import grpc.aio
import structlog
from litestar import asgi
from litestar.types import Receive, Scope, Send
from nats.aio.client import Client as Nats
from uvicorn.protocols.utils import ClientDisconnected

from gateway.chat import commands
from gateway.chat.client import Chat
from gateway.chat.presence_reporter import PresenceReporter
from gateway.chat.tickets import Tickets
from gateway.config import GatewaySettings
from gateway.http.auth import Authenticator
from gateway.http.error_answers import error_answer
from gateway.http.errors import NotPermitted
from gateway.http.limits.rate_limits import RateLimiter
from gateway.ws import connection as heartbeat
from gateway.ws.connection import Connection
from gateway.ws.dialects.connection import DialectConnection
from gateway.ws.dialects.opening import opening_of
from gateway.ws.dialects.service import Dialects
from gateway.ws.dialects.welcome import Welcome
from gateway.ws.dispatcher import Dispatcher
from gateway.ws.frame_limit import FRAME_LIMIT
from gateway.ws.frames import Close, Limits, Ready, error_of, pack
from gateway.ws.handshake import Disconnected, ForeignGreeting, Handshake, SocketRefused, next_text, refusal_of
from gateway.ws.hub import Hub
from gateway.ws.protocol import MAX_FRAME_BYTES, protocol_of
from gateway.ws.push_subscriber import PushSubscriber
from gateway.ws.reconciler import Reconciler
from gateway.ws.resume import Resumption, first_pages
from gateway.ws.task_queue import MAX_PENDING
from services.kit.context import Caller, current_caller, current_deadline
from services.kit.errors import HitokError, Unauthenticated, Unavailable

PATHS = ["/api/chat/ws", "/ws"]
HELLO_SECONDS = 5.0
DRAIN_STEPS = 20
RECONNECT_MS = (500, 5_000)  # the range in which the clients of a stopping gateway are spread

T = TypeVar("T")
log = structlog.get_logger("sockets")


class Sockets:
    """All sockets of this gateway. It is an ASGI application for WebSockets at PATHS."""

    def __init__(
        self,
        settings: GatewaySettings,
        chat: Chat,
        tickets: Tickets,
        nats: Nats,
        authenticator: Authenticator,
        limiter: RateLimiter,
        presence: PresenceReporter,
        online_friends: Callable[[], Awaitable[list[int]]],
    ) -> None:
        """`online_friends`: the ids of the caller's friends who are online."""
        self._settings, self._chat, self._authenticator, self._limiter = settings, chat, authenticator, limiter
        self.hub = Hub()
        self._reconciler = Reconciler(self.hub, chat, authenticator)
        self.subscriber = PushSubscriber(nats, self.hub, self._reconciler.after_gap, self._reconciler.after_doubt)
        self._presence = presence
        self._handshake = Handshake(settings, tickets, authenticator)
        self._first_pages = first_pages(chat)
        self._dialects = Dialects(
            chat, limiter, settings.rate_limit_scale, settings.request_seconds, settings.compat, online_friends
        )
        self._draining = False

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with self._reconciler.running(), self.subscriber.running():
            yield

    async def drain(self, seconds: float) -> None:
        """Accepts no more sockets, announces the end to those that are open, and closes them spread over `seconds`."""
        self._draining = True
        connections = self.hub.connections
        random.shuffle(connections)
        for connection in connections:
            wait = random.randint(*RECONNECT_MS)  # noqa: S311
            connection.announce(pack("goaway", {"reconnect_in_ms": wait}))
        for step in range(DRAIN_STEPS):
            await asyncio.sleep(seconds / DRAIN_STEPS)
            for connection in connections[step::DRAIN_STEPS]:
                connection.close(Close.RESTARTING, "restarting")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()  # websocket.connect
        if not self._handshake.allows_origin(scope):
            protocol_of(scope).refuse(error_answer(scope["path"], NotPermitted(field="origin")))
            return
        protocol, opening = protocol_of(scope), opening_of(scope)
        greeting: ForeignGreeting | None = None
        try:
            if opening:
                self._refuse_while_draining()
                greeting = await self._handshake.greet(opening, self._settings.request_seconds)
            await send({"type": "websocket.accept", "subprotocol": opening and opening.subprotocol, "headers": []})
        except SocketRefused as refusal:
            log.info("socket refused", close=int(refusal.code), cause=type(refusal.cause).__name__)
            status = 401 if refusal.code is Close.UNAUTHENTICATED else 503
            protocol.refuse(error_answer(scope["path"], refusal.cause)._replace(status=status))
            return
        except ClientDisconnected:
            return
        if greeting is None:
            connection = Connection(protocol)
            greeting = await self._keep(connection, self._serve(connection, scope, receive))
        if greeting:
            dialect = self._dialects.connection(protocol, greeting.spoken.dialect)
            await self._keep(dialect, self._serve_dialect(dialect, greeting, receive))

    async def _keep(self, connection: Connection, serving: Awaitable[T]) -> T | None:
        """Serves the connection to its end. What is returned is left to be done with the socket."""
        try:
            return await serving
        except SocketRefused as refusal:
            error = error_of(refusal.cause)
            log.info("socket refused", close=int(refusal.code), error=error.code, cause=type(refusal.cause).__name__)
            connection.announce(pack("error", error))
            connection.close(refusal.code, error.code)
        except Disconnected:
            pass
        except Exception:
            log.exception("socket failed")
            connection.close(Close.OVERLOADED, "failed")
        finally:
            self.hub.remove(connection)
            connection.dispose()
            if connection.caller.user_id:
                self._presence.closed(connection.id, connection.caller.user_id)
        return None

    async def _serve(self, connection: Connection, scope: Scope, receive: Receive) -> ForeignGreeting | None:
        """Returns at once if the first frame is a dialect's."""
        if foreign := await self._greet(connection, scope, receive):
            return foreign
        limits = self._settings.rate_limit_scale, self._settings.request_seconds
        requests = Dispatcher(connection, self.hub, self._chat, self._limiter, *limits)
        while True:
            await requests.receive(await next_text(receive))

    async def _greet(self, connection: Connection, scope: Scope, receive: Receive) -> ForeignGreeting | None:
        """Reads the hello and answers with `ready`, or returns a dialect's first frame. What it read is not kept."""
        self._refuse_while_draining()
        greeting = await self._handshake.receive_greeting(scope, receive, HELLO_SECONDS)
        if isinstance(greeting, ForeignGreeting):
            return greeting
        resumption = Resumption(self.hub, self._chat, self._first_pages, connection, greeting.hello)
        await self._admit(connection, greeting.caller, resumption)
        resumption.finish(greeting.frame.id, self._ready(connection))
        return None

    async def _serve_dialect(self, connection: DialectConnection, greeting: ForeignGreeting, receive: Receive) -> None:
        welcome = Welcome(self.hub, self._chat, self._first_pages, connection)
        await self._admit(connection, greeting.caller, welcome)
        session = self._dialects.session(connection, greeting.spoken.dialect)
        welcome.finish()
        try:
            if greeting.spoken.text:
                await session.receive(greeting.spoken.text)
            while True:
                await session.receive(await next_text(receive))
        finally:
            session.end()

    def _refuse_while_draining(self) -> None:
        if self._draining:
            raise SocketRefused(Close.GOING_AWAY, Unavailable())

    async def _admit(self, connection: Connection, caller: Caller, resumption: Resumption | Welcome) -> None:
        """Registers the connection and reads what its client misses. Raises SocketRefused, Disconnected."""
        self._refuse_while_draining()
        connection.caller = caller
        self._evict_oldest(caller.user_id)
        self.hub.add(connection)
        self._presence.opened(connection.id, caller.user_id)
        current_caller.set(caller)
        current_deadline.set(asyncio.get_running_loop().time() + self._settings.request_seconds)
        try:
            async with asyncio.timeout(self._settings.request_seconds):
                # After hub.add, so that a session which ends from now on finds its connection.
                if await self._authenticator.verdicts.load(caller.session_id) is None:
                    raise SocketRefused(Close.SESSION_REVOKED, Unauthenticated())
                await resumption.read()
        except (grpc.aio.AioRpcError, HitokError, TimeoutError) as error:
            raise refusal_of(error) from None
        finally:
            current_deadline.set(None)
        if connection.is_closing:
            raise Disconnected
        connection.protocol.forget_handshake()

    def _evict_oldest(self, user_id: int) -> None:
        """Makes room for one more socket. The oldest one goes, because its network may be gone unnoticed."""
        connections = self.hub.users.get(user_id, [])
        while len(connections) >= self._settings.chat_sockets:
            oldest = connections[0]
            oldest.close(Close.TOO_MANY, "too many connections")
            self.hub.remove(oldest)

    def _ready(self, connection: Connection) -> Ready:
        scale = self._settings.rate_limit_scale
        frames, sends = FRAME_LIMIT, commands.SEND_LIMIT
        limits = Limits(
            MAX_FRAME_BYTES,
            frames.refill * scale,
            frames.burst * scale,
            sends.refill * scale,
            sends.burst * scale,
            MAX_PENDING,
        )
        return Ready(
            session_id=str(connection.caller.session_id),
            user_id=str(connection.caller.user_id),
            connection_id=connection.id,
            heartbeat_ms=round(heartbeat.HEARTBEAT_SECONDS * 1000),
            limits=limits,
            conversations=[],
            next_cursor="",
            removed=[],
        )


@asgi(PATHS, copy_scope=False)
async def upgrade_required(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers plain HTTP at PATHS with 426. WebSockets do not reach Litestar (http/middleware.py)."""
    with suppress(OSError):
        headers = [(b"upgrade", b"websocket"), (b"connection", b"Upgrade"), (b"content-length", b"0")]
        await send({"type": "http.response.start", "status": 426, "headers": headers})
        await send({"type": "http.response.body", "body": b"", "more_body": False})
