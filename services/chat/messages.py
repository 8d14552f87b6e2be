"""Rows to protobuf. What clients see of it in JSON is written by services/client_json."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from protos.chat.v1 import conversations_pb2 as pb
from protos.chat.v1 import marks_pb2 as marks_pb
from protos.chat.v1 import reactions_pb2 as reactions_pb
from protos.chat.v1 import sockets_pb2 as sockets_pb
from services.chat.models import ASKED, DIRECT

PUSHED_RECEIPTS = 100  # members; in larger groups a client has to ask for receipts
MAX_ACTORS_SHOWN = 3
# The columns of StoredMessage in a query on the table `message`.
COLUMNS = """message.conversation_id, message.rev, message.seq, message.id, message.sender_id, message.client_msg_id,
 message.content_type, message.body::text AS body, message.reply_to_seq, message.mentions, message.created_at,
 message.edited_at, message.recalled_at, message.size"""


class MessageKey(NamedTuple):
    conversation_id: int
    seq: int


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


def message(row: Any, reactions: Any | None = None) -> pb.Message:
    """`reactions`: the row of the message's reactions, if they are told with it."""
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
        reactions=message_reactions(reactions) if reactions else None,
    )


def message_reactions(row: Any) -> reactions_pb.MessageReactions:
    """`row`: a reaction_summary with `mine`, the emoji of the viewer; none where there is no one viewer."""
    counted = (reactions_pb.Reaction(emoji=each, count=count, mine=each in row.mine) for each, count in row.counts)
    return reactions_pb.MessageReactions(
        conversation_id=row.conversation_id, seq=row.seq, rev=row.rev, reactions=counted
    )


def pinned_messages(rev: int, rows: Sequence[Any]) -> pb.PinnedMessages:
    """`rows`: of pinned_message."""
    return pb.PinnedMessages(rev=rev, pins=map(pin, rows))


def pin(row: Any) -> pb.Pin:
    return pb.Pin(seq=row.seq, user_id=row.pinned_by, pinned_at=milliseconds(row.pinned_at))


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


def conversation(row: Any, member: Any, unread: int = 0, last: Any | None = None) -> pb.Conversation:
    """The conversation as that member sees it; `row` has its columns, `member` those of the member."""
    return pb.Conversation(
        conversation_id=row.id,
        kind=pb.DIRECT if row.kind == DIRECT else pb.GROUP,
        peer_id=peer_of(row, member.user_id),
        group_id=row.group_id or 0,
        title=row.title,
        rev=row.rev,
        last_seq=row.last_seq,
        read_seq=read_up_to(member),
        unread=unread,
        last_message=message(last) if last else None,
        push_receipts=row.member_count <= PUSHED_RECEIPTS,
        joined_seq=member.joined_seq,
        delivered_seq=member.delivered_seq,
        request=member.request == ASKED,
        hidden=is_hidden(row, member),
        pinned=member.pinned,
        muted=is_muted(member),
        muted_until=milliseconds(member.muted_until) if is_muted(member) else 0,
        marks_rev=member.marks_rev,
        peer_gone=row.kind == DIRECT and row.member_count < 2,
    )


def read_up_to(member: Any) -> int:
    """The seq after which messages are unread to the member: those from before they joined are not theirs."""
    return int(max(member.read_seq, member.joined_seq))


def is_hidden(conversation: Any, member: Any) -> bool:
    """Whether the conversation has had no message since the member hid it."""
    return member.hidden_seq is not None and conversation.last_seq <= member.hidden_seq


def is_muted(member: Any) -> bool:
    return bool(member.muted and (member.muted_until is None or member.muted_until > datetime.now(UTC)))


def mark(conversation: Any, member: Any) -> marks_pb.Mark:
    """Converts a member's marks of a conversation. Of the conversation, only `last_seq` is used."""
    return marks_pb.Mark(
        conversation_id=member.conversation_id,
        marks_rev=member.marks_rev,
        hidden=is_hidden(conversation, member),
        pinned=member.pinned,
        muted=is_muted(member),
        muted_until=milliseconds(member.muted_until) if is_muted(member) else 0,
        cleared_seq=member.joined_seq,
    )


def conversation_page(page: Any) -> pb.ListConversationsResponse:
    """A page of reading/conversations.py as its user sees it."""
    rows = (conversation(row, row, unread, last) for row, unread, last in page.summaries)
    return pb.ListConversationsResponse(conversations=rows, next_cursor=page.next_cursor, marks_rev=page.marks_rev)


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
        reactions=map(message_reactions, row.reactions),
        pins=pinned_messages(row.pins_rev, row.pins) if row.pins is not None else None,
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
