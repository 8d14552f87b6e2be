"""Our own events as a dialect reads them: each is decoded once, however many sockets get it."""

from datetime import datetime
from typing import Any, NamedTuple

import msgspec
from msgspec import Raw, Struct

from services.client_json.chat import Actor, MessageView, Receipt

_decode_body = msgspec.json.Decoder().decode


class Event:
    """A message as it is now. `rendered`: its frames, by a key that each dialect chooses."""

    __slots__ = ("message", "rendered")

    def __init__(self, message: MessageView) -> None:
        self.message = message
        self.rendered: dict[Any, bytes] = {}


class EventReader:
    """Remembers the last frame, because the hub delivers a frame to all of its sockets in a row."""

    def __init__(self) -> None:
        self._frame, self._event = b"", _NONE

    def read(self, frame: bytes) -> Event | None:
        """None if the frame shows no message, as when a member left."""
        if frame is not self._frame:
            self._frame, self._event = frame, _read(frame)
        return self._event


class _Frame(Struct):
    type: str
    data: Raw = Raw(b"{}")


class Notice(Struct):
    """A notification as it travels. `subject` is JSON."""

    notification_id: str
    kind: str
    actor: Actor
    subject: Raw


class Reading(NamedTuple):
    conversation_id: int
    user_id: int
    read_seq: int


_NONE: Event | None = None
_decode_frame = msgspec.json.Decoder(_Frame).decode
_decode_message = msgspec.json.Decoder(MessageView).decode
_decode_receipt = msgspec.json.Decoder(Receipt).decode
_decode_notice = msgspec.json.Decoder(Notice).decode


def _read(frame: bytes) -> Event | None:
    decoded = _decode_frame(payload_of(frame))
    return Event(_decode_message(decoded.data)) if decoded.type.startswith("message") else None


def read_receipt(frame: bytes) -> Reading:
    """Of a `receipt` frame."""
    receipt = _decode_receipt(_decode_frame(payload_of(frame)).data)
    return Reading(int(receipt.conversation_id), int(receipt.user_id), receipt.read_seq)


def read_notice(frame: bytes) -> Notice | None:
    """None if the frame is about something else."""
    decoded = _decode_frame(payload_of(frame))
    return _decode_notice(decoded.data) if decoded.type == "notification" else None


def payload_of(frame: bytes) -> bytes:
    """The arguments of `text_frame`."""
    return frame[{126: 4, 127: 10}.get(frame[1], 2) :]


def milliseconds_of(message: MessageView) -> int:
    """Unix milliseconds of its sending."""
    return round(datetime.fromisoformat(message.created_at).timestamp() * 1000)


def body_of(message: MessageView) -> Any:
    return _decode_body(message.body)


def text_of(body: Any) -> str:
    """The text for a client that knows only text: the body's text, its file's url, or else its JSON."""
    if isinstance(body, str):
        return body
    if isinstance(body, dict):
        for name in ("text", "content", "url"):
            if isinstance(body.get(name), str):
                return str(body[name])
    return msgspec.json.encode(body).decode()
