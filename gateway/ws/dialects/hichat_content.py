"""The messages of dialect B2 and of hichat's history routes, from and to ours. Times are Unix nanoseconds."""

import re
from typing import Annotated, Any, NamedTuple

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from gateway.http.params import Id
from gateway.ws.dialects.events import body_of, text_of
from services.client_json.chat import MessageView

CONTENT_TYPES = {1: "text", 2: "file", 3: "audio", 4: "image", 5: "emoji", 8: "video"}
FILES = ("file", "audio", "image", "video")
STORED = re.compile(r"(?:^|/)media/[0-9a-f]{64}\.[a-z0-9]{1,5}(?:\?.*)?$")
MESSAGE, READ, ECHO, RECALL = 0, 6, 7, 9  # contentType


class Numbering(NamedTuple):
    """How a release of hichat numbers and names things. `mtype_base`: the number of a text."""

    single: int
    group: int
    mtype_base: int
    methods: dict[str, str]
    push: str  # the method of a message from the server; empty: it has none


ORIGINAL = Numbering(1, 2, 1, {"chat.user": "chat.user", "chat.markChat": "chat.markChat"}, "")
DERIVATIVE = Numbering(2, 1, 0, {"conversation.chat": "chat.user", "conversation.markChat": "chat.markChat"}, "push")


class Msg(Struct):
    """`quote`: anything; `atUsers`: the ids of users who are mentioned."""

    content: str
    mType: Annotated[int, Meta(ge=0, le=100)]  # noqa: N815
    quote: Any = UNSET
    atUsers: Annotated[list[Id], Meta(max_length=100)] = []  # noqa: N815
    atAll: bool = False  # noqa: N815


class MsgView(Struct, omit_defaults=True):
    mType: int | UnsetType = UNSET  # noqa: N815
    content: str | UnsetType = UNSET
    quote: Any = UNSET
    readRecords: dict[str, str] | UnsetType = UNSET  # noqa: N815
    atUsers: list[str] | UnsetType = UNSET  # noqa: N815
    atAll: bool = False  # noqa: N815


def content_of(msg: Msg, numbering: Numbering) -> tuple[str, dict[str, Any]]:
    """Our content type and body. What names no file of ours travels as `custom`, unchanged."""
    number = msg.mType - numbering.mtype_base + 1
    content_type = CONTENT_TYPES.get(number, "custom")
    extra: dict[str, Any] = {} if msg.quote is UNSET else {"quote": msg.quote}
    extra |= {"at_all": True} if msg.atAll else {}
    if content_type in FILES:
        url = _url_in(msg.content)
        if STORED.search(url):
            return content_type, {"url": url, "content": msg.content} | extra
        content_type = "custom"
    if content_type == "custom":
        return content_type, {"mType": number, "content": msg.content} | extra
    return content_type, {"text": msg.content} | extra


def _url_in(content: str) -> str:
    """A file's content is its url, or a JSON object with one."""
    try:
        value = msgspec.json.decode(content)
    except (msgspec.DecodeError, RecursionError):
        return content
    return str(value.get("url", "")) if isinstance(value, dict) else content


def msg_of(message: MessageView, numbering: Numbering) -> MsgView:
    body = body_of(message)
    fields = body if isinstance(body, dict) else {}
    number = next((key for key, name in CONTENT_TYPES.items() if name == message.content_type), 1)
    if message.content_type == "custom" and isinstance(fields.get("mType"), int):
        number = fields["mType"]
    content = fields.get("content")
    return MsgView(
        number + numbering.mtype_base - 1,
        content if isinstance(content, str) else text_of(body),
        fields.get("quote", UNSET),
        atUsers=message.mentions,
        atAll=bool(fields.get("at_all")),
    )
