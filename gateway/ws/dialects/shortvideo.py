"""Dialect A: the frames of the short-video app, `{"type", "content": <JSON as a string>}`."""

import time
import uuid
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from gateway.chat import commands
from gateway.http.errors import ParameterInvalid
from gateway.http.params import Id
from gateway.ws.dialects.connection import Position
from gateway.ws.dialects.events import Event, Notice, body_of, milliseconds_of, text_of
from gateway.ws.dialects.session import Session, decode
from gateway.ws.dialects.timeline import newest_before
from gateway.ws.protocol import text_frame
from services.client_json.chat import MessageView
from services.kit.overload.admission import Rank

OFFLINE = 50
MAX_HISTORY = 100
SENDS = ("chat", "private", "group")


class Frame(Struct):
    """`to_type` and `to` stand here, and `content` is the text, in what the app's own front end sends."""

    type: str
    content: str = ""
    to_type: str = ""
    to: Any = None


class Chat(Struct):
    content: str
    to_type: str
    to: Any = None


class History(Struct):
    """`before`: Unix milliseconds, exclusive; 0: from now on back."""

    before: Annotated[int, Meta(ge=0)] = 0
    count: int = 20


class _Recipient(Struct):
    to: Id


class ShortVideoRenderer:
    offline = OFFLINE

    def notice(self, notice: Notice) -> None:
        """There is no frame for it."""

    def message(self, event: Event, position: Position, user_id: int) -> bytes | None:
        """None for the user's own: a frame cannot say to whom it was sent."""
        if event.message.sender_id == str(user_id):
            return None
        if "A" not in event.rendered:
            event.rendered["A"] = text_frame(msgspec.json.encode(_frame("chat", event.message)))
        return event.rendered["A"]

    def recalled(self, event: Event, position: Position, user_id: int) -> bytes | None:
        return None


class ShortVideoSession(Session):
    async def serve(self, text: str) -> None:
        frame = _decode_frame(text)
        if frame.type == "history":
            await self.submit("history", "", lambda: self._history(frame), Rank.READ)
        elif frame.type in SENDS:
            await self.submit("send", "", lambda: self._chat(frame))
        elif frame.type.startswith("ai"):
            self.refuse("", ParameterInvalid(f"no frame has the type {frame.type[:40]!r} here"))

    def error(self, id: str, text: str) -> Any:
        return {"type": "error", "content": text}

    async def _chat(self, frame: Frame) -> None:
        chat = Chat(frame.content, frame.to_type, frame.to) if frame.to_type else decode(frame.content, Chat)
        recipient = decode(msgspec.json.encode({"to": chat.to}), _Recipient).to if chat.to not in (0, "0") else 0
        if chat.to_type not in ("user", "group") or not recipient:
            raise ParameterInvalid("a message goes to one user or to one group")
        to = commands.To(user_id=recipient) if chat.to_type == "user" else commands.To(group_id=recipient)
        await self.send(commands.Send(to, str(uuid.uuid4()), "text", {"text": chat.content}))

    async def _history(self, frame: Frame) -> None:
        asked = decode(frame.content, History)
        before = asked.before or time.time_ns() // 1_000_000 + 1
        count = max(1, min(asked.count, MAX_HISTORY))
        await self.connection.drained()
        for message in await newest_before(self.tools.chat, before, count):
            self.say(_frame("history", message))


def _frame(type: str, message: MessageView) -> dict[str, Any]:
    return {
        "type": type,
        "id": message.message_id,
        "content": text_of(body_of(message)),
        "user_id": message.sender_id,
        "timestamp": milliseconds_of(message),
    }


_decode_frame = msgspec.json.Decoder(Frame).decode
