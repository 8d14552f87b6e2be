"""Serves the frames that a client sends after `ready`: decodes each, applies the limits, and answers exactly once a
frame with an id.
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from time import perf_counter
from typing import Any, NamedTuple

import msgspec
import structlog
from msgspec import ValidationError
from opentelemetry.trace import SpanKind

from gateway.chat import cards, commands, devices, marks, pins, reactions, search, views
from gateway.chat.client import Chat
from gateway.http.errors import ParameterInvalid, TooManyRequests
from gateway.http.json_depth import check_depth
from gateway.http.limits.rate_limits import RateLimiter
from gateway.ws import metrics
from gateway.ws.connection import Connection
from gateway.ws.frame_limit import seconds_over_limit
from gateway.ws.frames import LITERAL_PONG, PONG, Close, Error, Frame, Typing, decode_frame, error_of, pack
from gateway.ws.hub import Hub
from gateway.ws.task_queue import MAX_PENDING
from services.kit import telemetry
from services.kit.context import current_caller, current_deadline, current_request_id, new_request_id
from services.kit.errors import Overloaded
from services.kit.overload.admission import HERE, RETRY_AFTER, Rank

MAX_MALFORMED = 20  # frames that cannot be decoded, after which the socket is closed

log = structlog.get_logger("sockets")


class Request(NamedTuple):
    params: Any
    serve: Callable[[Chat, Any], Awaitable[Any]]
    needs_id: bool = True  # without an id the client could not tell what the answer is for


REQUESTS = {
    "send": Request(commands.Send, commands.send),
    "edit": Request(commands.Edit, commands.edit),
    "recall": Request(commands.OfMessage, commands.recall),
    "history": Request(commands.History, commands.history),
    "sync": Request(commands.Sync, commands.sync),
    "conversations": Request(commands.ContinueConversations, commands.list_conversations),
    "receipts": Request(commands.ListReceipts, commands.receipts),
    "read": Request(commands.OfMessage, commands.read, needs_id=False),
    "delivered": Request(commands.OfMessage, commands.delivered, needs_id=False),
    "accept": Request(commands.OfConversation, commands.accept),
    "decline": Request(commands.OfConversation, commands.decline),
    "react": Request(reactions.React, reactions.react),
    "reactors": Request(reactions.ListReactors, reactions.list_reactors),
    "message.pin": Request(pins.PinMessage, pins.pin_message),
    "pins": Request(commands.OfConversation, pins.list_pinned),
    "search": Request(search.Search, search.search),
    "hide": Request(marks.Hide, marks.hide),
    "mute": Request(marks.Mute, marks.mute),
    "pin": Request(marks.Pin, marks.pin),
    "delete": Request(commands.OfConversation, marks.delete),
    "marks": Request(marks.ListMarks, marks.list_marks),
    "notification.list": Request(commands.ListNotifications, commands.list_notifications),
    "notification.read": Request(commands.ReadNotifications, commands.read_notifications, needs_id=False),
    "push.register": Request(devices.RegisterDevice, devices.register),
    "push.remove": Request(devices.RemoveDevice, devices.remove),
    "push.list": Request(devices.Nothing, devices.list_devices),
    "push.settings": Request(devices.Nothing, devices.get_settings),
    "push.set": Request(devices.SetPushSettings, devices.set_settings),
    "cards": Request(cards.AskedCards, commands.cards),
    "presence.subscribe": Request(commands.SubscribePresence, commands.presences, needs_id=False),
}
READS = {"history", "sync", "conversations", "receipts", "reactors", "pins", "search", "marks"}
READS |= {"notification.list", "presence.subscribe", "push.list", "push.settings", "cards"}
ORDERED = {"edit", "recall", "react", "message.pin", "read", "delivered", "accept", "decline"}
ORDERED |= {"hide", "mute", "pin", "delete"}  # of one conversation, served in the order of their arrival
LIMITED = {"send": (commands.SEND_BUCKET, commands.SEND_LIMIT), "search": (search.BUCKET, search.LIMIT)}
DECODERS = {type: msgspec.json.Decoder(request.params, strict=False).decode for type, request in REQUESTS.items()}
decode_typing = msgspec.json.Decoder(Typing, strict=False).decode


class Dispatcher:
    """Serves one socket; `receive` is called with the text of each frame."""

    __slots__ = ("_chat", "_connection", "_hub", "_limiter", "_malformed", "_scale", "_timeout")

    def __init__(
        self,
        connection: Connection,
        hub: Hub,
        chat: Chat,
        limiter: RateLimiter,
        scale: float,
        timeout: float,
    ) -> None:
        """`scale`: the scale of all rate limits; 0: no limits. `timeout`: seconds for one request."""
        self._connection, self._hub, self._chat = connection, hub, chat
        self._limiter, self._scale, self._timeout = limiter, scale, timeout
        self._malformed = 0

    async def receive(self, text: str) -> None:
        connection = self._connection
        connection.heard = True
        if text == "ping":
            connection.reply(LITERAL_PONG)
            return
        try:
            frame = decode_frame(text)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            self._reject_malformed(error)
            return
        if wait := seconds_over_limit(connection, self._scale):
            self._refuse(frame, TooManyRequests(retry_after=wait))
            return
        try:
            check_depth(text)
        except msgspec.DecodeError as error:
            self._refuse(frame, ParameterInvalid(str(error)))
            return
        match frame.type:
            case "pong":
                pass
            case "ping":
                connection.reply(PONG if frame.id is None else pack("pong", {}, frame.id))
            case "typing":
                await self._typing(frame)
            case _:
                await self._dispatch(frame)

    def _reject_malformed(self, error: Exception) -> None:
        self._malformed += 1
        if self._malformed > MAX_MALFORMED:
            self._connection.close(Close.PROTOCOL_ERROR, "malformed frames")
            return
        detail = str(error) if isinstance(error, ValidationError) else "not a JSON object"
        self._connection.reply(pack("error", Error("bad_request", detail)))

    async def _dispatch(self, frame: Frame) -> None:
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
        if self._connection.tasks.is_full:
            self._refuse(frame, TooManyRequests(f"{MAX_PENDING} unanswered", retry_after=1.0))
            return
        await self._connection.drained()
        self._connection.tasks.put(_ordering_key(frame.type, params), lambda: self._run(frame, request, params))

    async def _run(self, frame: Frame, request: Request, params: Any) -> None:
        with telemetry.span(f"socket {frame.type}", SpanKind.SERVER):
            await self._answer(frame, request, params)

    async def _answer(self, frame: Frame, request: Request, params: Any) -> None:
        if not HERE.enter(Rank.READ if frame.type in READS else Rank.WRITE):
            outcome = self._refuse(frame, Overloaded(retry_after=RETRY_AFTER))
            metrics.ANSWERED.labels(frame.type, outcome).observe(0.0)
            return
        try:
            await self._serve(frame, request, params)
        finally:
            HERE.leave()

    async def _serve(self, frame: Frame, request: Request, params: Any) -> None:
        started, outcome = perf_counter(), "ack"
        current_caller.set(self._connection.caller)
        current_request_id.set(new_request_id())
        current_deadline.set(asyncio.get_running_loop().time() + self._timeout)
        try:
            if limited := LIMITED.get(frame.type):
                await self._limiter.take(*limited, str(self._connection.caller.user_id))
            if frame.type in ("history", "sync", "conversations", "pins", "search"):
                await self._connection.drained()  # their answers are large: one at a time
            answer = await request.serve(self._chat, params)
            if frame.type == "presence.subscribe":
                self._watch_presence(answer)
            if frame.id is not None:
                self._connection.reply(pack("ack", {} if answer is None else answer, frame.id))
        except Exception as error:
            # The client gets an answer and the socket lives on, whatever the error is.
            outcome = self._refuse(frame, error)
        metrics.ANSWERED.labels(frame.type, outcome).observe(perf_counter() - started)

    def _refuse(self, frame: Frame, error: Exception) -> str:
        answer = error_of(error)
        if answer.code == "internal":
            log.error("request failed", frame=frame.type, exc_info=error)
        self._connection.reply(pack("error", answer, frame.id))
        return answer.code

    def _watch_presence(self, page: views.PresencePage) -> None:
        """Subscribes to those users that the caller may see, and sends their current state first."""
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
        if params.conversation_id not in self._connection.conversations:
            if frame.id is not None:
                self._connection.reply(pack("ack", {}, frame.id))
        elif self._connection.tasks.is_full:
            self._refuse(frame, TooManyRequests(f"{MAX_PENDING} unanswered", retry_after=1.0))
        else:
            request = Request(Typing, self._send_typing, needs_id=False)
            self._connection.tasks.put("typing", lambda: self._run(frame, request, params))

    async def _send_typing(self, chat: Chat, params: Typing) -> None:
        await commands.typing(chat, params.conversation_id, params.active, self._connection.id)


def _ordering_key(type: str, params: Any) -> Hashable:
    """Requests with the same key are served in the order of their arrival. Writes to a conversation have its key, as
    far as they name it in the same way; the other requests have one key for each type.
    """
    if type == "send":
        to = params.to
        return to.conversation_id, to.user_id, to.group_id
    if type in ORDERED:
        return params.conversation_id, None, None
    return type
