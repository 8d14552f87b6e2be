"""Pinned messages as clients see them (docs/chat-protocol.md)."""

from msgspec import UNSET, Struct, UnsetType

from protos.chat.v1 import conversations_pb2 as pb
from services.client_json.times import rfc3339


class PinView(Struct):
    seq: int
    user_id: str
    pinned_at: str


class PinsView(Struct):
    """All pins of a conversation that the user may see, the last first; `rev` of their last change."""

    rev: int
    pins: list[PinView]


class PinnedEvent(Struct):
    """`user_id` pinned the message or took it off."""

    conversation_id: str
    rev: int
    seq: int
    pinned: bool
    user_id: str
    pinned_at: str | UnsetType = UNSET


def pins(row: pb.PinnedMessages) -> PinsView:
    return PinsView(row.rev, [PinView(each.seq, str(each.user_id), rfc3339(each.pinned_at)) for each in row.pins])


def event(conversation_id: int, rev: int, row: pb.Pin, user_id: int, pinned: bool) -> PinnedEvent:
    at = rfc3339(row.pinned_at) if pinned else UNSET
    return PinnedEvent(str(conversation_id), rev, row.seq, pinned, str(user_id), at)
