"""The frames that this service pushes to clients, over core NATS. services/client_json writes their data.

The subject is `push.conv.<id>` for the members of a conversation, `push.user.<id>` for one user's devices, and
`push.presence.<id>` for those who subscribed to the user's presence. Headers tell a gateway what it needs without
reading the frame:
`rev: <n>` the frame is durable; `seq: <n>` it shows that message, so only those who joined before it may see it;
`key: <key>` only the latest frame with this key counts;
`recheck: 1` only for those who may no longer see the user;
`except: <connection>` not for that socket; `hidden_from: <ids>` not for those users, as a block is between them;
`joined: <conversation>`, `left: <conversation>` the user's membership changed, so route their frames anew.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

from protos.chat.v1 import reactions_pb2 as reactions_pb
from protos.chat.v1 import sockets_pb2 as sockets_pb
from services.chat import messages
from services.client_json import chat as client_json
from services.client_json import pins as pins_json
from services.client_json import reactions as reactions_json
from services.kit import telemetry

TYPING_MS = 6_000  # for which a typing frame holds


class Push(NamedTuple):
    subject: str
    header: str  # lines of "name: value"
    payload: str  # the frame


def message_sent(row: Any, trace: str) -> Push:
    """`trace` is the span of the request that sent the message, as a batch of many requests wrote it."""
    return _of_message("message", row, trace)


def message_updated(row: Any) -> Push:
    return _of_message("message.updated", row)


def message_recalled(row: Any) -> Push:
    return _of_message("message.recalled", row)


def _of_message(kind: str, row: Any, trace: str = "") -> Push:
    header = f"rev: {row.rev}\nseq: {row.seq}"
    return _push(f"push.conv.{row.conversation_id}", header, kind, client_json.message(messages.message(row)), trace)


def reactions_changed(tally: Any) -> Push:
    """Reactions to a message were added or taken back; for the members who see the message."""
    key, changes = tally.key, [(pair, True) for pair in tally.added] + [(pair, False) for pair in tally.removed]
    row = reactions_pb.MessageReactions(conversation_id=key.conversation_id, seq=key.seq, rev=tally.rev)
    row.reactions.extend(reactions_pb.Reaction(emoji=emoji, count=count) for emoji, count in tally.counts.items())
    data = reactions_json.event(row, [(user_id, emoji, added) for (user_id, emoji), added in changes])
    return _push(f"push.conv.{key.conversation_id}", f"rev: {tally.rev}\nseq: {key.seq}", "reactions", data)


def message_pinned(row: Any, user_id: int, pinned: bool) -> Push:
    """The user pinned a message or took it off; `row` has its columns and the `rev`. For the members who see it."""
    data = pins_json.event(row.conversation_id, row.rev, messages.pin(row), user_id, pinned)
    return _push(f"push.conv.{row.conversation_id}", f"rev: {row.rev}\nseq: {row.seq}", "pinned", data)


def member_changed(row: Any) -> Push:
    """A user joined or left; `row` is the member's."""
    data = client_json.member_event(row.conversation_id, messages.member(row))
    return _push(f"push.conv.{row.conversation_id}", f"rev: {row.rev}", "member", data)


def conversation_changed(row: Any) -> Push:
    """A group's title changed, or the group was dismissed."""
    data = {"conversation_id": str(row.id), "rev": row.rev, "kind": "group", "group_id": str(row.group_id)}
    data |= {"title": row.title, "dismissed": row.dismissed_at is not None}
    return _push(f"push.conv.{row.id}", f"rev: {row.rev}", "conversation", data)


def conversation_added(row: Any, member: Any) -> Push:
    """The user is a member from now on, or sees only what comes from now on; the data is what `ready` lists."""
    data = client_json.conversation(messages.conversation(row, member))
    return _push(f"push.user.{member.user_id}", f"joined: {row.id}", "conversation", data)


def mark_changed(row: Any, member: Any) -> Push:
    """For the devices of the member who set it."""
    data = client_json.mark(messages.mark(row, member))
    return _push(f"push.user.{member.user_id}", "", "conversation", data)


def peer_gone(conversation_id: int, user_id: int) -> Push:
    """The peer of the user's direct conversation deleted their account."""
    data = {"conversation_id": str(conversation_id), "title": client_json.TOMBSTONE, "peer_gone": True}
    return _push(f"push.user.{user_id}", "", "conversation", data)


def request_ended(row: Any, user_id: int) -> Push:
    """The user accepted a message request, or answered it; for their devices. Without a rev: a client would take that
    of an answer which is still on its way as known, and drop the answer."""
    data = {"conversation_id": str(row.id), "request": False}
    return _push(f"push.user.{user_id}", "", "conversation", data)


def typing(conversation_id: int, user_id: int, active: bool, except_id: str, apart: Iterable[int]) -> Push:
    data = {"conversation_id": str(conversation_id), "user_id": str(user_id), "expires_ms": TYPING_MS if active else 0}
    # The key holds the conversation, so that a receiver hears of each one in which the user types.
    header = f"key: typing:{conversation_id}:{user_id}\nexcept: {except_id}" + _hidden_from(apart)
    return _push(f"push.conv.{conversation_id}", header, "typing", data)


def _hidden_from(user_ids: Iterable[int]) -> str:
    ids = ",".join(map(str, sorted(user_ids)))
    return f"\nhidden_from: {ids}" if ids else ""


def conversation_left(conversation_id: int, rev: int, user_id: int) -> Push:
    data = {"conversation_id": str(conversation_id), "rev": rev, "left": True}
    return _push(f"push.user.{user_id}", f"left: {conversation_id}", "conversation", data)


def receipt(row: Any, to_all: bool) -> Push:
    """`row` is the member's. Goes to all members but those apart from the user, or only to the user's own devices."""
    data = client_json.receipt(row.conversation_id, messages.member(row))
    subject = f"push.conv.{row.conversation_id}" if to_all else f"push.user.{row.user_id}"
    header = f"key: receipt:{row.conversation_id}:{row.user_id}" + _hidden_from(row.apart or ())
    return _push(subject, header, "receipt", data)


def notified(row: Any) -> Push:
    """A new notification, or one that another actor has joined."""
    return _push(f"push.user.{row.user_id}", "", "notification", client_json.notification(messages.notification(row)))


def presence_changed(user_id: int, online: bool, last_seen_at: int, apart: Iterable[int]) -> Push:
    """`last_seen_at` is in Unix milliseconds."""
    row = sockets_pb.UserPresence(user_id=user_id, online=online, last_seen_at=last_seen_at)
    header = f"key: presence:{user_id}" + _hidden_from(apart)
    return _push(f"push.presence.{user_id}", header, "presence", client_json.presence(row))


def presence_in_doubt(user_id: int) -> Push:
    """Some of those who subscribed to the user's presence may no longer see it: gateways ask for each. The frame is for
    those; to them the user is offline from now on."""
    row = sockets_pb.UserPresence(user_id=user_id)
    return _push(f"push.presence.{user_id}", "recheck: 1", "presence", client_json.presence(row))


def _push(subject: str, header: str, kind: str, data: Any, trace: str = "") -> Push:
    if trace := trace or telemetry.here():
        header = f"{header}\n{telemetry.TRACE}: {trace}".lstrip()
    return Push(subject, header, client_json.encode({"type": kind, "data": data}).decode())
