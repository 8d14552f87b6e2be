"""The answers to chat requests, the same over a socket and over HTTP (docs/chat-protocol.md).

services/client_json writes what they hold: messages, conversations, members, notifications and presence.
"""

from collections.abc import Iterable

from msgspec import UNSET, Struct, UnsetType

from protos.chat.v1 import conversations_pb2 as pb
from protos.chat.v1 import sockets_pb2 as sockets_pb
from services.client_json.chat import (
    ConversationView,
    MemberView,
    MessageView,
    NotificationView,
    PresenceView,
    member,
    message,
    presence,
)
from services.client_json.pins import PinsView, pins
from services.client_json.reactions import ReactionsView, reactions
from services.client_json.times import rfc3339


class Ack(Struct):
    """The message is committed. `duplicate`: it was committed before."""

    message_id: str
    client_msg_id: str
    conversation_id: str
    seq: int
    rev: int
    created_at: str
    duplicate: bool


class Changed(Struct):
    conversation_id: str
    seq: int
    rev: int


class ConversationPage(Struct):
    """`next_cursor` is empty on the last page."""

    conversations: list[ConversationView]
    next_cursor: str


class MessagePage(Struct):
    """Newest first. A page may be shorter than asked for; `more` says whether there are older ones."""

    messages: list[MessageView]
    rev: int
    more: bool


class SyncView(Struct):
    """The changes after `from_rev`, up to `to_rev`; `more`: ask again from there. `pins`: all, if they changed."""

    conversation_id: str
    from_rev: int
    to_rev: int
    messages: list[MessageView]
    members: list[MemberView]
    limited: bool
    more: bool = False
    reactions: list[ReactionsView] = []
    pins: PinsView | UnsetType = UNSET


class ReadView(Struct):
    read_seq: int
    unread: int


class DeliveredView(Struct):
    delivered_seq: int


class ReceiptPage(Struct):
    members: list[MemberView]


class NotificationPage(Struct):
    """`unread` counts all unread notifications, up to 100."""

    notifications: list[NotificationView]
    unread: int


class PresencePage(Struct):
    presences: list[PresenceView]


def ack(answer: pb.SendResponse) -> Ack:
    return Ack(
        message_id=str(answer.message_id),
        client_msg_id=answer.client_msg_id,
        conversation_id=str(answer.conversation_id),
        seq=answer.seq,
        rev=answer.rev,
        created_at=rfc3339(answer.created_at),
        duplicate=answer.duplicate,
    )


def sync(row: pb.Sync) -> SyncView:
    return SyncView(
        conversation_id=str(row.conversation_id),
        from_rev=row.from_rev,
        to_rev=row.to_rev,
        messages=[message(changed) for changed in row.messages],
        members=[member(changed) for changed in row.members],
        limited=row.limited,
        reactions=[reactions(changed) for changed in row.reactions],
        pins=pins(row.pins) if row.HasField("pins") else UNSET,
    )


def limited_sync(conversation_id: int, from_rev: int, to_rev: int) -> SyncView:
    """Tells the client to drop what it cached of the conversation."""
    return SyncView(str(conversation_id), from_rev, to_rev, [], [], limited=True)


def presences(rows: Iterable[sockets_pb.UserPresence]) -> list[PresenceView]:
    return [presence(row) for row in rows]
