"""The WebSocket endpoint: who may come in, the hello, and how a process lets its sockets go."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import grpc.aio
import structlog
from litestar import asgi
from litestar.types import Receive, Scope, Send
from nats.aio.client import Client as Nats
from uvicorn.protocols.utils import ClientDisconnected

from gateway.cache.presence import Presence
from gateway.chat.client import Chat
from gateway.chat.tickets import Tickets
from gateway.config import GatewaySettings
from gateway.http.auth import Authenticator
from gateway.http.errors import TokenMissing
from gateway.http.rate_limits import Limiter
from gateway.ws import connection as heartbeat
from gateway.ws import dispatcher
from gateway.ws.connection import Connection
from gateway.ws.dispatcher import Dialogue
from gateway.ws.frames import Close, Frame, Hello, Limits, Ready, error_of, pack
from gateway.ws.handshake import Door, Gone, Refused, next_text, refusal_of
from gateway.ws.hub import Hub
from gateway.ws.presence_reporter import Roll
from gateway.ws.protocol import MAX_FRAME_BYTES, wire_of
from gateway.ws.push_subscriber import Feed
from gateway.ws.reconciler import Repairs
from gateway.ws.resume import Resumption, first_pages
from gateway.ws.task_queue import MAX_PENDING
from services.kit.context import Caller, current_caller, current_deadline
from services.kit.errors import HitokError, Unauthenticated, Unavailable

PATHS = ["/api/chat/ws", "/ws"]
HELLO_SECONDS = 5.0
DRAIN_STEPS = 20
AFTER_RESTART_MS = (500, 5_000)  # in which a client comes back, spread

log = structlog.get_logger("sockets")


class Sockets:
    """All of this gateway's. An ASGI application for WebSockets at PATHS."""

    def __init__(
        self,
        settings: GatewaySettings,
        chat: Chat,
        tickets: Tickets,
        nats: Nats,
        authenticator: Authenticator,
        limiter: Limiter,
        presence: Presence,
    ) -> None:
        self._settings, self._chat, self._authenticator, self._limiter = settings, chat, authenticator, limiter
        self.hub = Hub()
        self._repairs = Repairs(self.hub, chat, authenticator)
        self.feed = Feed(nats, self.hub, self._repairs.after_gap)
        self._roll = Roll(chat, presence, lambda: self.hub.connections)
        self._door = Door(settings, tickets, authenticator)
        self._firsts = first_pages(chat)
        self._draining = False

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with self._roll.running(), self._repairs.running(), self.feed.running():
            yield

    async def drain(self, seconds: float) -> None:
        """No more sockets; those there are told to go elsewhere, and closed one after the other."""
        self._draining = True
        connections = self.hub.connections
        random.shuffle(connections)
        for connection in connections:
            wait = random.randint(*AFTER_RESTART_MS)  # noqa: S311
            connection.reply(pack("goaway", {"reconnect_in_ms": wait}))
        for step in range(DRAIN_STEPS):
            await asyncio.sleep(seconds / DRAIN_STEPS)
            for connection in connections[step::DRAIN_STEPS]:
                connection.close(Close.RESTARTING, "restarting")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()  # websocket.connect
        if not self._door.may_come_from(scope):
            await send({"type": "websocket.close", "code": 1008, "reason": ""})  # before accept: 403
            return
        try:
            await send({"type": "websocket.accept", "subprotocol": None, "headers": []})
        except ClientDisconnected:
            return
        connection = Connection(wire_of(scope))
        try:
            await self._hold(connection, scope, receive)
        except Refused as refusal:
            fault = error_of(refusal.cause)
            log.info("refused", close=int(refusal.code), fault=fault.code, cause=type(refusal.cause).__name__)
            connection.reply(pack("error", fault))
            connection.close(refusal.code, fault.code)
        except Gone:
            pass
        except Exception:
            log.exception("failed")
            connection.close(Close.OVERLOADED, "failed")
        finally:
            self.hub.remove(connection)
            connection.forget()
            if connection.caller.user_id:
                self._roll.closed(connection)

    async def _hold(self, connection: Connection, scope: Scope, receive: Receive) -> None:
        self._refuse_while_draining()
        try:
            async with asyncio.timeout(HELLO_SECONDS):
                caller, frame, hello = await self._door.greet(scope, receive)
        except TimeoutError:
            raise Refused(Close.UNAUTHENTICATED, TokenMissing()) from None
        self._refuse_while_draining()
        await self._admit(connection, caller, frame, hello)
        settings = self._settings
        talk = Dialogue(
            connection,
            self.hub,
            self._chat,
            self.feed,
            self._limiter,
            settings.rate_limit_scale,
            settings.request_seconds,
        )
        while True:
            await talk.listen(await next_text(receive))

    def _refuse_while_draining(self) -> None:
        if self._draining:
            raise Refused(Close.GOING_AWAY, Unavailable())

    async def _admit(self, connection: Connection, caller: Caller, frame: Frame, hello: Hello) -> None:
        """The hello is good: register, and bring the client up to date."""
        connection.caller = caller
        structlog.contextvars.bind_contextvars(user_id=caller.user_id)
        self._make_room(caller.user_id)
        self.hub.add(connection)
        self._roll.opened(connection)
        current_caller.set(caller)
        current_deadline.set(asyncio.get_running_loop().time() + self._settings.request_seconds)
        try:
            async with asyncio.timeout(self._settings.request_seconds):
                # Again, or for the first time with a ticket: now that a revocation finds the connection.
                if await self._authenticator.verdicts.load(caller.session_id) is None:
                    raise Refused(Close.SESSION_REVOKED, Unauthenticated())
                resumption = Resumption(self.hub, self._chat, self._firsts, connection, hello)
                await resumption.read()
        except (grpc.aio.AioRpcError, HitokError, TimeoutError) as error:
            raise refusal_of(error) from None
        finally:
            current_deadline.set(None)
        if connection.is_closing:
            raise Gone
        resumption.finish(frame.id, self._ready(connection))

    def _make_room(self, user_id: int) -> None:
        """The oldest goes: it may be one whose network is gone, and the new one is there for certain."""
        connections = self.hub.users.get(user_id, [])
        while len(connections) >= self._settings.chat_sockets:
            oldest = connections[0]
            oldest.close(Close.TOO_MANY, "too many connections")
            self.hub.remove(oldest)

    def _ready(self, connection: Connection) -> Ready:
        scale = self._settings.rate_limit_scale
        frames, sends = dispatcher.FRAMES, dispatcher.SENDS
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
    """Of plain HTTP; the sockets themselves never come by Litestar (edge.py)."""
    with suppress(OSError):
        headers = [(b"upgrade", b"websocket"), (b"connection", b"Upgrade"), (b"content-length", b"0")]
        await send({"type": "http.response.start", "status": 426, "headers": headers})
        await send({"type": "http.response.body", "body": b"", "more_body": False})
