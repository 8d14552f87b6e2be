"""Dialect B1: the frames of hichat as of May 2025, `{"frameType", "method"?, "userId"?, "formId"?, "data"?}`."""

import uuid
from typing import Any

import msgspec
from msgspec import Raw, Struct

from gateway.chat import commands
from gateway.http.errors import ParameterInvalid
from gateway.http.params import Id
from gateway.ws.dialects.connection import Position
from gateway.ws.dialects.events import Event, Notice, body_of, text_of
from gateway.ws.dialects.session import Session, decode
from gateway.ws.protocol import text_frame
from services.kit.overload.admission import Rank

OFFLINE = 50
DATA, PING, ERROR = 0, 1, 2


class Frame(Struct):
    """`userId`: the receiver, a string or a number."""

    frameType: int  # noqa: N815
    method: str = ""
    userId: Any = None  # noqa: N815
    data: Raw = Raw(b"null")


class Recipient(Struct):
    user_id: Id


class HichatRenderer:
    offline = OFFLINE

    def notice(self, notice: Notice) -> None:
        """There is no frame for it."""

    def message(self, event: Event, position: Position, user_id: int) -> bytes | None:
        """None in a group, and for the user's own: a frame names only who sent it."""
        if event.message.sender_id == str(user_id) or not position.peer_id:
            return None
        if "B1" not in event.rendered:
            body = body_of(event.message)
            data = text_of(body) if isinstance(body, dict) and event.message.content_type != "custom" else body
            frame = {"frameType": DATA, "formId": event.message.sender_id, "data": data}
            event.rendered["B1"] = text_frame(msgspec.json.encode(frame))
        return event.rendered["B1"]

    def recalled(self, event: Event, position: Position, user_id: int) -> bytes | None:
        return None


class HichatSession(Session):
    async def serve(self, text: str) -> None:
        frame = _decode_frame(text)
        if frame.frameType == PING:
            self.say({"frameType": PING})
        elif frame.frameType != DATA:
            self.refuse("", ParameterInvalid("frameType is 0 or 1"))
        elif frame.method == "user.online":
            await self.submit("online", "", self._online, Rank.READ)
        elif frame.method == "chat.user":
            await self.submit("send", "", lambda: self._chat(frame))
        else:
            self.refuse("", ParameterInvalid(f"no method is called {frame.method[:40]!r} here"))

    def error(self, id: str, text: str) -> Any:
        return {"frameType": ERROR, "data": text}

    async def _online(self) -> None:
        user_ids = [str(user_id) for user_id in await self.tools.online_friends()]
        self.say({"frameType": DATA, "formId": str(self.connection.caller.user_id), "data": user_ids})

    async def _chat(self, frame: Frame) -> None:
        to = commands.To(user_id=decode(msgspec.json.encode({"user_id": frame.userId}), Recipient).user_id)
        data = decode(frame.data, object)
        if isinstance(data, str):
            await self.send(commands.Send(to, str(uuid.uuid4()), "text", {"text": data}))
        else:
            await self.send(commands.Send(to, str(uuid.uuid4()), "custom", data))


_decode_frame = msgspec.json.Decoder(Frame).decode
