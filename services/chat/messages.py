"""Rows to protobuf. What clients see of it in JSON is written by services/client_json."""

from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from protos.chat.v1 import conversations_pb2 as pb
from protos.chat.v1 import sockets_pb2 as sockets_pb
from services.chat.models import ASKED, DIRECT

PUSHED_RECEIPTS = 100  # members; in larger groups a client has to ask for receipts
MAX_ACTORS_SHOWN = 3
# The columns of StoredMessage in a query on the table `message`.
COLUMNS = """message.conversation_id, message.rev, message.seq, message.id, message.sender_id, message.client_msg_id,
 message.content_type, message.body::text AS body, message.reply_to_seq, message.mentions, message.created_at,
 message.edited_at, message.recalled_at, message.size"""


class StoredMessage(NamedTuple):
    """A row of `message`; `body` is JSON text, or None once the message was recalled."""

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


def milliseconds(moment: datetime | None) -> int:
    """Unix milliseconds; 0 for None."""
    return round(moment.timestamp() * 1000) if moment else 0


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


def send_response(row: Any, duplicate: bool) -> pb.SendResponse:
    return pb.SendResponse(
        message_id=row.id,
        client_msg_id=str(row.client_msg_id),
        conversation_id=row.conversation_id,
        seq=row.seq,
        rev=row.rev,
        created_at=milliseconds(row.created_at),
        duplicate=duplicate,
    )


def conversation(
    row: Any,
    user_id: int,
    read_seq: int,
    joined_seq: int,
    unread: int = 0,
    last: Any | None = None,
    delivered_seq: int = 0,
    request: bool = False,
) -> pb.Conversation:
    """The conversation as the member `user_id` sees it; `row` has its columns."""
    return pb.Conversation(
        conversation_id=row.id,
        kind=pb.DIRECT if row.kind == DIRECT else pb.GROUP,
        peer_id=peer_of(row, user_id),
        group_id=row.group_id or 0,
        title=row.title,
        rev=row.rev,
        last_seq=row.last_seq,
        read_seq=read_seq,
        unread=unread,
        last_message=message(last) if last else None,
        push_receipts=row.member_count <= PUSHED_RECEIPTS,
        joined_seq=joined_seq,
        delivered_seq=delivered_seq,
        request=request,
    )


def conversation_page(page: Any, user_id: int) -> pb.ListConversationsResponse:
    """A page of reading/conversations.py as that user sees it."""
    rows = (
        conversation(
            row,
            user_id,
            row.read_seq,
            row.joined_seq,
            unread,
            last,
            row.delivered_seq,
            request=row.request == ASKED,
        )
        for row, unread, last in page.summaries
    )
    return pb.ListConversationsResponse(conversations=rows, next_cursor=page.next_cursor)


def peer_of(row: Any, user_id: int) -> int:
    """The other user of a direct conversation; 0 in a group's."""
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


def sync(row: Any) -> pb.Sync:
    return pb.Sync(
        conversation_id=row.conversation_id,
        from_rev=row.from_rev,
        to_rev=row.to_rev,
        messages=map(message, row.messages),
        members=map(member, row.members),
        limited=row.limited,
    )


def notification(row: Any) -> sockets_pb.Notification:
    return sockets_pb.Notification(
        notification_id=row.id,
        kind=row.kind,
        actor_ids=row.actor_ids[:MAX_ACTORS_SHOWN],
        actor_count=row.actor_count,
        subject=msgspec.json.encode(row.subject),
        created_at=milliseconds(row.created_at),
        unread=row.read_at is None,
    )
