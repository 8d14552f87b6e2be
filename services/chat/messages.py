"""Rows to protobuf, and to what a client's frame holds of them."""

from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from protos.chat.v1 import conversations_pb2 as pb
from protos.chat.v1 import sockets_pb2 as sockets_pb
from services.chat.models import DIRECT

PUSHED_RECEIPTS = 100  # members; receipts of larger groups are for those who ask
# The columns of Stored, of the table `message`.
COLUMNS = """message.conversation_id, message.rev, message.seq, message.id, message.sender_id, message.client_msg_id,
 message.content_type, message.body::text AS body, message.reply_to_seq, message.mentions, message.created_at,
 message.edited_at, message.recalled_at, message.size"""


class Stored(NamedTuple):
    """A message as a row; `body` is JSON, or None once it was recalled."""

    conversation_id: int
    rev: int
    seq: int
    id: int
    sender_id: int
    client_msg_id: UUID
    content_type: str
    body: str | None
    reply_to_seq: int
    mentions: list[int]
    created_at: datetime
    edited_at: datetime | None
    recalled_at: datetime | None
    size: int


class MessageData(msgspec.Struct, omit_defaults=True, kw_only=True):
    """As in a frame (chat.md)."""

    conversation_id: str
    rev: int
    seq: int
    message_id: str
    client_msg_id: str
    sender_id: str
    content_type: str
    body: msgspec.Raw
    reply_to_seq: int = 0
    mentions: list[str] = []
    created_at: str
    edited_at: str | None = None
    recalled_at: str | None = None


def milliseconds(moment: datetime | None) -> int:
    """Unix milliseconds; 0 for never."""
    return round(moment.timestamp() * 1000) if moment else 0


def rfc3339(moment: datetime) -> str:
    """In UTC, to the millisecond, as everything else tells it."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def message_data(row: Any) -> MessageData:
    return MessageData(
        conversation_id=str(row.conversation_id),
        rev=row.rev,
        seq=row.seq,
        message_id=str(row.id),
        client_msg_id=str(row.client_msg_id),
        sender_id=str(row.sender_id),
        content_type=row.content_type,
        body=msgspec.Raw((row.body or "null").encode()),
        reply_to_seq=row.reply_to_seq,
        mentions=[str(id) for id in row.mentions],
        created_at=rfc3339(row.created_at),
        edited_at=rfc3339(row.edited_at) if row.edited_at else None,
        recalled_at=rfc3339(row.recalled_at) if row.recalled_at else None,
    )


def message(row: Any) -> pb.Message:
    return pb.Message(
        conversation_id=row.conversation_id,
        rev=row.rev,
        seq=row.seq,
        message_id=row.id,
        client_msg_id=str(row.client_msg_id),
        sender_id=row.sender_id,
        content_type=row.content_type,
        body=(row.body or "null").encode(),
        reply_to_seq=row.reply_to_seq,
        mentions=row.mentions,
        created_at=milliseconds(row.created_at),
        edited_at=milliseconds(row.edited_at),
        recalled_at=milliseconds(row.recalled_at),
    )


def sent(row: Any, duplicate: bool) -> pb.SendResponse:
    return pb.SendResponse(
        message_id=row.id,
        client_msg_id=str(row.client_msg_id),
        conversation_id=row.conversation_id,
        seq=row.seq,
        rev=row.rev,
        created_at=milliseconds(row.created_at),
        duplicate=duplicate,
    )


def conversation(row: Any, user_id: int, unread: int, last: Any | None) -> pb.Conversation:
    """As that member sees it."""
    return pb.Conversation(
        conversation_id=row.id,
        kind=pb.DIRECT if row.kind == DIRECT else pb.GROUP,
        peer_id=peer_of(row, user_id),
        group_id=row.group_id or 0,
        title=row.title,
        rev=row.rev,
        last_seq=row.last_seq,
        read_seq=row.read_seq,
        unread=unread,
        last_message=message(last) if last else None,
        push_receipts=row.member_count <= PUSHED_RECEIPTS,
        joined_seq=row.joined_seq,
    )


def listed(page: Any, user_id: int) -> pb.ListConversationsResponse:
    """A page of conversations.py, as that user sees it."""
    rows = (conversation(row, user_id, unread, last) for row, unread, last in page.summaries)
    return pb.ListConversationsResponse(conversations=rows, next_cursor=page.next_cursor)


def peer_of(row: Any, user_id: int) -> int:
    """The other of a direct conversation; 0 in a group's."""
    if row.kind != DIRECT:
        return 0
    return int(row.high_id if row.low_id == user_id else row.low_id)


def member(row: Any) -> pb.Member:
    return pb.Member(
        user_id=row.user_id,
        rev=row.rev,
        left=row.left_at is not None,
        read_seq=row.read_seq,
        delivered_seq=row.delivered_seq,
    )


def notification(row: Any) -> sockets_pb.Notification:
    return sockets_pb.Notification(
        notification_id=row.id,
        kind=row.kind,
        actor_ids=row.actor_ids[:3],
        actor_count=row.actor_count,
        subject=msgspec.json.encode(row.subject),
        created_at=milliseconds(row.created_at),
        unread=row.read_at is None,
    )


def sync(row: Any) -> pb.Sync:
    return pb.Sync(
        conversation_id=row.conversation_id,
        from_rev=row.from_rev,
        to_rev=row.to_rev,
        messages=map(message, row.messages),
        members=map(member, row.members),
        limited=row.limited,
    )
