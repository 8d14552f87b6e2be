"""What a client says after `ready`: each frame read, bounded, and answered exactly once if it has an id."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Hashable
from typing import Any, NamedTuple

import msgspec
import structlog
from msgspec import ValidationError
from opentelemetry.trace import SpanKind

from gateway.chat import commands, views
from gateway.chat.client import Chat
from gateway.http.errors import ParameterInvalid, TooManyRequests
from gateway.http.rate_limits import Limiter, per_second
from gateway.ws import metrics
from gateway.ws.connection import Connection
from gateway.ws.frames import LITERAL_PONG, PONG, Close, Error, Frame, Typing, decode_frame, error_of, pack
from gateway.ws.hub import Hub
from gateway.ws.push_subscriber import Feed
from gateway.ws.task_queue import MAX_PENDING
from services.kit import telemetry
from services.kit.context import current_caller, current_deadline, current_request_id, new_request_id

FRAMES = per_second(20, 40)  # of one socket
SENDS = per_second(5, 20)  # of one user, over HTTP too
SEND_BUCKET = "/api/chat/send"
FLOOD_SECONDS = 30.0  # a client so far beyond its frames is closed
MAX_MISTAKES = 20  # frames that are none at all
TYPING_MS = 6_000

log = structlog.get_logger("sockets")


class Request(NamedTuple):
    params: Any
    serve: Callable[[Chat, Any], Awaitable[Any]]
    needs_id: bool = True  # its answer is all there is to it


REQUESTS = {
    "send": Request(commands.Send, commands.send),
    "edit": Request(commands.Edit, commands.edit),
    "recall": Request(commands.OfMessage, commands.recall),
    "history": Request(commands.History, commands.history),
    "sync": Request(commands.Sync, commands.sync),
    "conversations": Request(commands.ListConversations, commands.list_conversations),
    "receipts": Request(commands.ListReceipts, commands.receipts),
    "read": Request(commands.OfMessage, commands.read, needs_id=False),
    "delivered": Request(commands.OfMessage, commands.delivered, needs_id=False),
    "notification.list": Request(commands.ListNotifications, commands.list_notifications),
    "notification.read": Request(commands.ReadNotifications, commands.read_notifications, needs_id=False),
    "presence.subscribe": Request(commands.SubscribePresence, commands.presences, needs_id=False),
}
DECODERS = {type: msgspec.json.Decoder(request.params, strict=False).decode for type, request in REQUESTS.items()}
decode_typing = msgspec.json.Decoder(Typing, strict=False).decode


class Dialogue:
    """One client's; `listen` is given each text that comes."""

    __slots__ = ("_chat", "_connection", "_feed", "_hub", "_limiter", "_mistakes", "_scale", "_seconds")

    def __init__(
        self, connection: Connection, hub: Hub, chat: Chat, feed: Feed, limiter: Limiter, scale: float, seconds: float
    ) -> None:
        """`scale` is that of all rate limits; `seconds` is how long a request may take."""
        self._connection, self._hub, self._chat, self._feed = connection, hub, chat, feed
        self._limiter, self._scale, self._seconds = limiter, scale, seconds
        self._mistakes = 0

    async def listen(self, text: str) -> None:
        connection = self._connection
        connection.heard = True
        if text == "ping":
            connection.reply(LITERAL_PONG)
            return
        try:
            frame = decode_frame(text)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            self._mistake(error)
            return
        if wait := self._over_limit():
            self._refuse(frame, TooManyRequests(retry_after=wait))
            return
        match frame.type:
            case "pong":
                pass
            case "ping":
                connection.reply(PONG if frame.id is None else pack("pong", {}, frame.id))
            case "typing":
                await self._typing(frame)
            case _:
                await self._ask(frame)

    def _mistake(self, error: Exception) -> None:
        self._mistakes += 1
        if self._mistakes > MAX_MISTAKES:
            self._connection.close(Close.PROTOCOL_ERROR, "no frames")
            return
        detail = str(error) if isinstance(error, ValidationError) else "not a JSON object"
        self._connection.reply(pack("error", Error("bad_request", detail)))

    def _over_limit(self) -> float:
        """Seconds until the next frame may come; also closes those who do not care."""
        if not self._scale:
            return 0.0
        now = time.monotonic()
        interval = FRAMES.seconds / FRAMES.refill / self._scale
        full_at = max(self._connection.frames_full_at, now) + interval
        wait = full_at - now - interval * FRAMES.burst * self._scale
        if wait > FLOOD_SECONDS:
            self._connection.close(Close.OVERLOADED, "flood")
        # Those refused count too: who goes on all the same stays refused.
        self._connection.frames_full_at = full_at
        return max(wait, 0.0)

    async def _ask(self, frame: Frame) -> None:
        request = REQUESTS.get(frame.type)
        if request is None:
            self._refuse(frame, ParameterInvalid(f"no frame has the type {frame.type[:40]!r} here"))
            return
        if request.needs_id and frame.id is None:
            self._refuse(frame, ParameterInvalid("`id` is missing"))
            return
        try:
            params = DECODERS[frame.type](frame.data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            self._refuse(frame, ParameterInvalid(str(error)))
            return
        if self._connection.lines.is_full:
            self._refuse(frame, TooManyRequests(f"{MAX_PENDING} unanswered", retry_after=1.0))
            return
        await self._connection.room()
        self._connection.lines.put(_line(frame.type, params), lambda: self._serve(frame, request, params))

    async def _serve(self, frame: Frame, request: Request, params: Any) -> None:
        with telemetry.span(f"socket {frame.type}", SpanKind.SERVER):
            await self._answer(frame, request, params)

    async def _answer(self, frame: Frame, request: Request, params: Any) -> None:
        started, outcome = time.perf_counter(), "ack"
        current_caller.set(self._connection.caller)
        current_request_id.set(new_request_id())
        current_deadline.set(asyncio.get_running_loop().time() + self._seconds)
        try:
            if frame.type == "send":
                await self._limiter.take(SEND_BUCKET, SENDS, str(self._connection.caller.user_id))
            elif frame.type in ("history", "sync", "conversations"):
                await self._connection.room()  # large answers, one at a time
            answer = await request.serve(self._chat, params)
            if frame.type == "presence.subscribe":
                self._watch(answer)
            if frame.id is not None:
                self._connection.reply(pack("ack", {} if answer is None else answer, frame.id))
        except Exception as error:
            # Whatever it is, the client is answered, and the socket lives on.
            outcome = self._refuse(frame, error)
        metrics.ANSWERED.labels(frame.type, outcome).observe(time.perf_counter() - started)

    def _refuse(self, frame: Frame, error: Exception) -> str:
        fault = error_of(error)
        if fault.code == "internal":
            log.error("failed", frame=frame.type, exc_info=error)
        self._connection.reply(pack("error", fault, frame.id))
        return fault.code

    def _watch(self, page: views.PresencePage) -> None:
        """Of those whom he may see only; what they are now comes first."""
        if not self._connection.is_closing:
            self._hub.watch(self._connection, [int(row.user_id) for row in page.presences])
        for row in page.presences:
            self._connection.deliver_latest(pack("presence", row), f"presence:{row.user_id}")

    async def _typing(self, frame: Frame) -> None:
        try:
            params = decode_typing(frame.data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            self._refuse(frame, ParameterInvalid(str(error)))
            return
        if params.conversation_id in self._connection.conversations:
            user_id = self._connection.caller.user_id
            data = {
                "conversation_id": str(params.conversation_id),
                "user_id": str(user_id),
                "expires_ms": TYPING_MS if params.active else 0,
            }
            payload = views.encode({"type": "typing", "data": data})
            # The key is the socket's own, so of one that is in two conversations at once both are told.
            key = f"typing:{params.conversation_id}:{user_id}"
            await self._feed.publish_latest(params.conversation_id, payload, key, self._connection.id)
        if frame.id is not None:
            self._connection.reply(pack("ack", {}, frame.id))


def _line(type: str, params: Any) -> Hashable:
    """Requests of one line keep their order: of messages, those that name the conversation in the same way."""
    if type == "send":
        to = params.to
        return to.conversation_id, to.user_id, to.group_id
    if type in ("edit", "recall", "read", "delivered"):
        return params.conversation_id, None, None
    return type
