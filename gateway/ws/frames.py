"""The frames `{"type", "id"?, "data"?}`, the errors inside them, and the close codes (docs/chat-protocol.md)."""

from enum import IntEnum
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from gateway.http.error_answers import explain
from gateway.http.errors import ParameterInvalid
from gateway.http.params import Id
from gateway.ws.protocol import text_frame
from services.client_json.chat import ConversationView, encode
from services.kit.ids import MAX_ID

Number = Annotated[int, Meta(ge=0, le=MAX_ID)]
RequestId = Annotated[str, Meta(min_length=1, max_length=64)] | int
Code = Literal[
    "bad_request",
    "unauthenticated",
    "token_expired",
    "forbidden",
    "not_found",
    "not_member",
    "not_friends",
    "blocked",
    "conflict",
    "too_large",
    "rate_limited",
    "unavailable",
    "internal",
]


class Close(IntEnum):
    """A client reconnects by itself after codes up to 4499, and not after those from 4500 on."""

    RESTARTING = 1012
    GOING_AWAY = 4001
    HEARTBEAT = 4002
    SLOW = 4008
    OVERLOADED = 4013
    UNAUTHENTICATED = 4501
    PROTOCOL_ERROR = 4502
    SESSION_REVOKED = 4503
    TOO_MANY = 4504


class Frame(Struct):
    type: str
    id: RequestId | None = None
    data: Raw = Raw(b"{}")


class Membership(NamedTuple):
    """A user's membership in a conversation: the rev up to which they are informed, and the seq after which they may
    see its messages."""

    rev: int
    joined_seq: int


class Hello(Struct):
    version: Literal[1]
    device_id: Annotated[str, Meta(max_length=128)] = ""
    token: Annotated[str, Meta(max_length=4_096)] = ""
    cursors: Annotated[dict[Id, Number], Meta(max_length=2_000)] = {}


class Typing(Struct):
    conversation_id: Id
    active: bool = True


class Limits(Struct):
    """The limits that a client should keep to. Rates are per second."""

    frame_bytes: int
    frames_per_second: float
    frames_burst: float
    sends_per_second: float
    sends_burst: float
    unacknowledged: int


class Ready(Struct):
    """`conversations`: the pinned ones and the most recently active ones. `next_cursor`: where the rest begins; empty
    if there is none. `marks_rev`: how often the user has changed marks of conversations."""

    session_id: str
    user_id: str
    connection_id: str
    heartbeat_ms: int
    limits: Limits
    conversations: list[ConversationView]
    next_cursor: str
    removed: list[str]
    marks_rev: int = 0


class Error(Struct):
    code: Code
    message: str
    retryable: bool = False
    retry_after_ms: int | UnsetType = UNSET


# Reasons whose HTTP status says too little.
CODES: dict[str, Code] = {
    "TOKEN_EXPIRED": "token_expired",
    "NOT_MEMBER": "not_member",
    "NOT_FRIENDS": "not_friends",
    "BLOCKED": "blocked",
    "MESSAGE_TOO_LARGE": "too_large",
}
CODES_BY_STATUS: dict[int, Code] = {
    400: "bad_request",
    401: "unauthenticated",
    403: "forbidden",
    404: "not_found",
    409: "conflict",
    413: "too_large",
    429: "rate_limited",
    503: "unavailable",
}
RETRYABLE = ("rate_limited", "unavailable", "internal")

decode_frame = msgspec.json.Decoder(Frame).decode
decode_hello = msgspec.json.Decoder(Hello, strict=False).decode
PING = text_frame(b'{"type":"ping"}')
PONG = text_frame(b'{"type":"pong"}')
LITERAL_PONG = text_frame(b"pong")


def pack(type: str, data: Any, id: str | int | None = None) -> bytes:
    """A whole text frame, ready to be written."""
    if id is None:
        return text_frame(b'{"type":"%b","data":%b}' % (type.encode(), encode(data)))
    return text_frame(b'{"type":"%b","id":%b,"data":%b}' % (type.encode(), encode(id), encode(data)))


def resync(conversation_ids: list[int] | None, reason: str) -> bytes:
    """Asks the client to sync these conversations. None: all that it knows may be out of date."""
    ids = None if conversation_ids is None else [str(id) for id in conversation_ids]
    return pack("resync", {"conversation_ids": ids, "reason": reason})


def rev_only(conversation_id: int, rev: int) -> bytes:
    """Counts a change that the client may not see: without it the client would wait for the missing rev."""
    return pack("conversation", {"conversation_id": str(conversation_id), "rev": rev})


def error_of(error: Exception) -> Error:
    """The error for the client. The text of an unknown exception never reaches it."""
    if isinstance(error, ParameterInvalid):
        return Error("bad_request", str(error))
    reason, failure, retry_after, _ = explain(error)
    code = CODES.get(reason) or CODES_BY_STATUS.get(failure.http, "internal")
    wait = UNSET if retry_after is None else round(retry_after * 1000)
    return Error(code, failure.message, code in RETRYABLE, wait)
