"""Checks the content of a message before anything is written, so that a bad message does not fail its batch."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from services.chat.errors import MessageInvalid, MessageTooLarge
from services.client_json.cards import VIDEO_CARD
from services.kit.ids import MAX_ID
from services.kit.texts.text_search import words_of

CONTENT_TYPES = ("text", "image", "video", "audio", "file", "emoji", "custom", VIDEO_CARD)
MAX_BODY = 48 * 1024  # bytes
MAX_MENTIONS = 100
URLS = ("http://", "https://", "data:", "/media/")  # a text that begins so is not searched


class Body(NamedTuple):
    text: str  # JSON
    size: int  # bytes
    words: str


class Content(NamedTuple):
    client_msg_id: UUID
    content_type: str
    body: Body
    reply_to_seq: int
    mentions: tuple[int, ...]


def parse_content(
    client_msg_id: str, content_type: str, body: bytes, reply_to_seq: int, mentions: Sequence[int]
) -> Content:
    """Raises MessageInvalid, MessageTooLarge."""
    if content_type not in CONTENT_TYPES:
        raise MessageInvalid(field="content_type")
    if len(mentions) > MAX_MENTIONS or not all(0 < id <= MAX_ID for id in mentions):
        raise MessageInvalid(field="mentions")
    if reply_to_seq < 0:
        raise MessageInvalid(field="reply_to_seq")
    try:
        uuid = UUID(client_msg_id)
    except ValueError:
        raise MessageInvalid(field="client_msg_id") from None
    return Content(uuid, content_type, parse_body(body), reply_to_seq, tuple(dict.fromkeys(mentions)))


def parse_body(body: bytes) -> Body:
    """Raises MessageInvalid, MessageTooLarge."""
    if len(body) > MAX_BODY:
        raise MessageTooLarge
    try:
        value = msgspec.json.decode(body)
        # Encoded again, so that PostgreSQL gets no JSON that it would refuse, such as a number out of range.
        text = msgspec.json.encode(value)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        raise MessageInvalid("body is not JSON", field="body") from None
    if _has_nul(value):
        raise MessageInvalid("body contains a NUL", field="body")
    if len(text) > MAX_BODY:
        raise MessageTooLarge
    return Body(text.decode(), len(text), search_words(value))


def with_value(body: Body, value: Any) -> Body:
    """The body with another value and the same search words. Raises MessageTooLarge."""
    text = msgspec.json.encode(value)
    if len(text) > MAX_BODY:
        raise MessageTooLarge
    return Body(text.decode(), len(text), body.words)


def search_words(value: Any) -> str:
    """The value of `message.words`: the words of all texts in a body except URLs, separated by spaces."""
    return " ".join(words_of(" ".join(_texts(value))))


def _texts(value: Any) -> Iterator[str]:
    match value:
        case str() if not value.startswith(URLS):
            yield value
        case dict():
            for member in value.values():
                yield from _texts(member)
        case list():
            for member in value:
                yield from _texts(member)


def _has_nul(value: Any) -> bool:
    match value:
        case str():
            return "\0" in value
        case dict():
            return any("\0" in key or _has_nul(member) for key, member in value.items())
        case list():
            return any(map(_has_nul, value))
    return False
