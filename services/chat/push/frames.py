"""What this service announces: frames for clients, on core NATS, as each client gets them.

`push.conv.<id>` is for all who are in a conversation, `push.user.<id>` for one user's devices. A header says what
a gateway needs to know without reading the frame:
`rev: <n>` of a durable event, and `seq: <n>` if it shows a message: it is for those who joined before that;
`key: <key>` of one that only the latest of counts;
`joined: <conversation>` and `left: <conversation>` when the user's frames have to be routed anew.
"""

from typing import Any, NamedTuple

import msgspec

from services.chat.messages import PUSHED_RECEIPTS, message_data, peer_of, rfc3339
from services.chat.models import DIRECT
from services.kit import telemetry

_encode = msgspec.json.Encoder().encode


class Push(NamedTuple):
    subject: str
    header: str  # lines of "name: value"
    payload: str  # the frame


def message_sent(row: Any, trace: str) -> Push:
    """`trace`: the span of the request that sent it; others' were written with it."""
    return _of_message("message", row, trace)


def message_updated(row: Any) -> Push:
    return _of_message("message.updated", row)


def message_recalled(row: Any) -> Push:
    return _of_message("message.recalled", row)


def _of_message(kind: str, row: Any, trace: str = "") -> Push:
    header = f"rev: {row.rev}\nseq: {row.seq}"
    return _push(f"push.conv.{row.conversation_id}", header, kind, message_data(row), trace)


def member_changed(row: Any) -> Push:
    """Joined or left; `row` is the member's."""
    data = {
        "conversation_id": str(row.conversation_id),
        "rev": row.rev,
        "user_id": str(row.user_id),
        "left": row.left_at is not None,
        "read_seq": row.read_seq,
        "delivered_seq": row.delivered_seq,
    }
    return _push(f"push.conv.{row.conversation_id}", f"rev: {row.rev}", "member", data)


def conversation_changed(row: Any) -> Push:
    """Its title, or it was dismissed."""
    data = {"conversation_id": str(row.id), "rev": row.rev, "kind": "group", "group_id": str(row.group_id)}
    data |= {"title": row.title, "dismissed": row.dismissed_at is not None}
    return _push(f"push.conv.{row.id}", f"rev: {row.rev}", "conversation", data)


def conversation_added(row: Any, user_id: int, read_seq: int = 0) -> Push:
    """The user is in it from now on: what `ready` tells of it."""
    direct = row.kind == DIRECT
    other = {"peer_id": str(peer_of(row, user_id))} if direct else {"group_id": str(row.group_id)}
    data = {
        "conversation_id": str(row.id),
        "kind": "direct" if direct else "group",
        **other,
        "title": row.title,
        "rev": row.rev,
        "last_seq": row.last_seq,
        "read_seq": read_seq,
        "unread": 0,
        "last_message": None,
        "push_receipts": row.member_count <= PUSHED_RECEIPTS,
    }
    return _push(f"push.user.{user_id}", f"joined: {row.id}", "conversation", data)


def conversation_left(conversation_id: int, rev: int, user_id: int) -> Push:
    data = {"conversation_id": str(conversation_id), "rev": rev, "left": True}
    return _push(f"push.user.{user_id}", f"left: {conversation_id}", "conversation", data)


def receipt(row: Any, pushed: bool) -> Push:
    """`row` is the member's. Where receipts are not pushed only his own devices are told."""
    data = {
        "conversation_id": str(row.conversation_id),
        "user_id": str(row.user_id),
        "delivered_seq": row.delivered_seq,
        "read_seq": row.read_seq,
    }
    subject = f"push.conv.{row.conversation_id}" if pushed else f"push.user.{row.user_id}"
    return _push(subject, f"key: receipt:{row.conversation_id}:{row.user_id}", "receipt", data)


def notified(row: Any) -> Push:
    """A new notification, or one that another actor has joined."""
    actors = [str(id) for id in row.actor_ids[:3]]
    data = {
        "notification_id": str(row.id),
        "kind": row.kind,
        "actor": {"user_id": actors[0], "user_ids": actors, "count": row.actor_count},
        "subject": row.subject,
        "created_at": rfc3339(row.created_at),
        "unread": True,
    }
    return _push(f"push.user.{row.user_id}", "", "notification", data)


def presence_changed(user_id: int, online: bool, last_seen_at: str) -> Push:
    data = {"user_id": str(user_id), "online": online, "last_seen_at": last_seen_at}
    return _push(f"push.presence.{user_id}", f"key: presence:{user_id}", "presence", data)


def _push(subject: str, header: str, kind: str, data: Any, trace: str = "") -> Push:
    if trace := trace or telemetry.here():
        header = f"{header}\n{telemetry.TRACE}: {trace}".lstrip()
    return Push(subject, header, _encode({"type": kind, "data": data}).decode())
