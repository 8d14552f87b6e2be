"""Messages, conversations, members, notifications and presence as clients see them (docs/chat-protocol.md).

This module is the only writer of their JSON. The chat service renders live frames with it, and the gateway renders
the list, syncs, history and HTTP answers, so a client sees one shape whichever way a thing reaches it. Fields are only
added: a gateway passes on frames of a newer or older chat service as they are.
"""

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from protos.chat.v1 import conversations_pb2 as pb
from protos.chat.v1 import marks_pb2 as marks_pb
from protos.chat.v1 import sockets_pb2 as sockets_pb
from services.client_json.cards import CardView
from services.client_json.reactions import ReactionView, counted
from services.client_json.times import rfc3339

KINDS = {pb.DIRECT: "direct", pb.GROUP: "group"}
TOMBSTONE = "已注销用户"  # the title of a conversation whose peer deleted their account
PREVIEW_BYTES = 2_048  # a longer body is left out of a list of conversations
encode = msgspec.json.Encoder().encode


class MessageView(Struct):
    """`body` is null once the message was recalled. In history `reactions` are those to it, if there are any, and
    `reactions_rev` is the rev of their last change. There `card` is what the reader may see of a shared video."""

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
    reactions: list[ReactionView] | UnsetType = UNSET
    reactions_rev: int | UnsetType = UNSET
    card: CardView | UnsetType = UNSET


class ConversationView(Struct):
    """`request`: the user has not agreed to hear from the peer yet. `peer_gone`: the peer deleted their account.

    `unread` counts up to 100. In `last_message` a long body is left out: `body_omitted`. `hidden`, until the next
    message, `pinned` and `muted`, with its end, are what the user set for themselves; `marks_rev` counts it.
    `cleared_seq`: the user sees the messages after it.
    """

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
    request: bool | UnsetType = UNSET
    hidden: bool | UnsetType = UNSET
    pinned: bool | UnsetType = UNSET
    muted: bool | UnsetType = UNSET
    muted_until: str | UnsetType = UNSET
    marks_rev: int | UnsetType = UNSET
    cleared_seq: int | UnsetType = UNSET
    peer_gone: bool | UnsetType = UNSET


class MarkView(Struct):
    """The marks that the user set for a conversation. `muted_until` null: without an end, or not muted."""

    conversation_id: str
    marks_rev: int
    hidden: bool
    pinned: bool
    muted: bool
    muted_until: str | None
    cleared_seq: int


class MemberView(Struct):
    user_id: str
    rev: int
    left: bool
    read_seq: int
    delivered_seq: int


class MemberEvent(MemberView):
    """A member as a frame of its own."""

    conversation_id: str


class Receipt(Struct):
    conversation_id: str
    user_id: str
    delivered_seq: int
    read_seq: int


class Actor(Struct):
    """The users who did it: `count` of them, of whom `user_ids` names up to three, the latest first."""

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


class PresenceView(Struct):
    user_id: str
    online: bool
    last_seen_at: str | None


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
        reactions=counted(row.reactions) or UNSET,
        reactions_rev=row.reactions.rev or UNSET,
    )


def conversation(row: pb.Conversation) -> ConversationView:
    last = message(row.last_message) if row.last_message.message_id else None
    if last and len(last.body) > PREVIEW_BYTES:
        last.body, last.body_omitted = Raw(b"null"), True
    return ConversationView(
        conversation_id=str(row.conversation_id),
        kind=KINDS[row.kind],
        title=TOMBSTONE if row.peer_gone else row.title,
        rev=row.rev,
        last_seq=row.last_seq,
        read_seq=row.read_seq,
        unread=row.unread,
        last_message=last,
        push_receipts=row.push_receipts,
        peer_id=str(row.peer_id) if row.peer_id else UNSET,
        group_id=str(row.group_id) if row.group_id else UNSET,
        request=row.request or UNSET,
        hidden=row.hidden or UNSET,
        pinned=row.pinned or UNSET,
        muted=row.muted or UNSET,
        muted_until=rfc3339(row.muted_until) if row.muted_until else UNSET,
        marks_rev=row.marks_rev or UNSET,
        cleared_seq=row.joined_seq or UNSET,
        peer_gone=row.peer_gone or UNSET,
    )


def mark(row: marks_pb.Mark) -> MarkView:
    until = rfc3339(row.muted_until) if row.muted_until else None
    return MarkView(
        conversation_id=str(row.conversation_id),
        marks_rev=row.marks_rev,
        hidden=row.hidden,
        pinned=row.pinned,
        muted=row.muted,
        muted_until=until,
        cleared_seq=row.cleared_seq,
    )


def member(row: pb.Member) -> MemberView:
    return MemberView(str(row.user_id), row.rev, row.left, row.read_seq, row.delivered_seq)


def member_event(conversation_id: int, row: pb.Member) -> MemberEvent:
    return MemberEvent(
        str(row.user_id), row.rev, row.left, row.read_seq, row.delivered_seq, conversation_id=str(conversation_id)
    )


def receipt(conversation_id: int, row: pb.Member) -> Receipt:
    return Receipt(str(conversation_id), str(row.user_id), row.delivered_seq, row.read_seq)


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


def presence(row: sockets_pb.UserPresence) -> PresenceView:
    last_seen_at = rfc3339(row.last_seen_at) if row.last_seen_at else None
    return PresenceView(str(row.user_id), row.online, last_seen_at)
