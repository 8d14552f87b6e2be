"""What of conversations goes to clients, the same over a socket and over HTTP (docs/chat-protocol.md)."""

from collections.abc import Iterable

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from gateway.http.formats import rfc3339
from protos.chat.v1 import conversations_pb2 as pb
from protos.chat.v1 import sockets_pb2 as sockets_pb

KINDS = {pb.DIRECT: "direct", pb.GROUP: "group"}
PREVIEW_BYTES = 2_048  # a body beyond this is left out of a list of conversations
encode = msgspec.json.Encoder().encode


class Ack(Struct):
    """A message that is committed. `duplicate`: it was so already."""

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


class MessageView(Struct):
    """`body` is null once recalled."""

    conversation_id: str
    rev: int
    seq: int
    message_id: str
    client_msg_id: str
    sender_id: str
    content_type: str
    body: Raw
    created_at: str
    reply_to_seq: int | UnsetType = UNSET
    mentions: list[str] | UnsetType = UNSET
    edited_at: str | UnsetType = UNSET
    recalled_at: str | UnsetType = UNSET
    body_omitted: bool | UnsetType = UNSET


class ConversationView(Struct):
    """`unread` up to 100. `last_message` has a long body left out: `body_omitted`."""

    conversation_id: str
    kind: str
    title: str
    rev: int
    last_seq: int
    read_seq: int
    unread: int
    last_message: MessageView | None
    push_receipts: bool
    peer_id: str | UnsetType = UNSET
    group_id: str | UnsetType = UNSET


class ConversationPage(Struct):
    """`next_cursor` is empty on the last page."""

    conversations: list[ConversationView]
    next_cursor: str


class MemberView(Struct):
    user_id: str
    rev: int
    left: bool
    read_seq: int
    delivered_seq: int


class MessagePage(Struct):
    """Newest first. A page may be shorter than asked for; `more` says whether older ones are left."""

    messages: list[MessageView]
    rev: int
    more: bool


class SyncView(Struct):
    """What changed after `from_rev`, up to `to_rev`; `more`: ask again from there."""

    conversation_id: str
    from_rev: int
    to_rev: int
    messages: list[MessageView]
    members: list[MemberView]
    limited: bool
    more: bool = False


class ReadView(Struct):
    read_seq: int
    unread: int


class DeliveredView(Struct):
    delivered_seq: int


class ReceiptPage(Struct):
    members: list[MemberView]


class Actor(Struct):
    """Who did it: up to three, the latest first, of `count`."""

    user_id: str
    user_ids: list[str]
    count: int


class NotificationView(Struct):
    notification_id: str
    kind: str
    actor: Actor
    subject: Raw
    created_at: str
    unread: bool


class NotificationPage(Struct):
    """`unread` up to 100, of all."""

    notifications: list[NotificationView]
    unread: int


class PresenceView(Struct):
    user_id: str
    online: bool
    last_seen_at: str | None


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


def message(row: pb.Message) -> MessageView:
    return MessageView(
        conversation_id=str(row.conversation_id),
        rev=row.rev,
        seq=row.seq,
        message_id=str(row.message_id),
        client_msg_id=row.client_msg_id,
        sender_id=str(row.sender_id),
        content_type=row.content_type,
        body=Raw(row.body or b"null"),
        created_at=rfc3339(row.created_at),
        reply_to_seq=row.reply_to_seq or UNSET,
        mentions=[str(user_id) for user_id in row.mentions] or UNSET,
        edited_at=rfc3339(row.edited_at) if row.edited_at else UNSET,
        recalled_at=rfc3339(row.recalled_at) if row.recalled_at else UNSET,
    )


def conversation(row: pb.Conversation) -> ConversationView:
    last = message(row.last_message) if row.last_message.message_id else None
    if last and len(last.body) > PREVIEW_BYTES:
        last.body, last.body_omitted = Raw(b"null"), True
    return ConversationView(
        conversation_id=str(row.conversation_id),
        kind=KINDS[row.kind],
        title=row.title,
        rev=row.rev,
        last_seq=row.last_seq,
        read_seq=row.read_seq,
        unread=row.unread,
        last_message=last,
        push_receipts=row.push_receipts,
        peer_id=str(row.peer_id) if row.peer_id else UNSET,
        group_id=str(row.group_id) if row.group_id else UNSET,
    )


def member(row: pb.Member) -> MemberView:
    return MemberView(str(row.user_id), row.rev, row.left, row.read_seq, row.delivered_seq)


def sync(row: pb.Sync) -> SyncView:
    return SyncView(
        conversation_id=str(row.conversation_id),
        from_rev=row.from_rev,
        to_rev=row.to_rev,
        messages=[message(changed) for changed in row.messages],
        members=[member(changed) for changed in row.members],
        limited=row.limited,
    )


def limited_sync(conversation_id: int, from_rev: int, to_rev: int) -> SyncView:
    """For one who has to drop what he knows."""
    return SyncView(str(conversation_id), from_rev, to_rev, [], [], limited=True)


def notification(row: sockets_pb.Notification) -> NotificationView:
    actors = [str(user_id) for user_id in row.actor_ids]
    return NotificationView(
        notification_id=str(row.notification_id),
        kind=row.kind,
        actor=Actor(actors[0] if actors else "", actors, row.actor_count),
        subject=Raw(row.subject or b"null"),
        created_at=rfc3339(row.created_at),
        unread=row.unread,
    )


def presences(rows: Iterable[sockets_pb.UserPresence]) -> list[PresenceView]:
    return [
        PresenceView(str(row.user_id), row.online, rfc3339(row.last_seen_at) if row.last_seen_at else None)
        for row in rows
    ]
