"""Reactions to messages as clients see them (docs/chat-protocol.md)."""

from msgspec import UNSET, Struct, UnsetType

from protos.chat.v1 import reactions_pb2 as pb


class ReactionView(Struct):
    """`mine`: the caller reacted so; never set in an event."""

    emoji: str
    count: int
    mine: bool | UnsetType = UNSET


class ReactionsView(Struct):
    """All reactions to a message, in the order of the emoji's first use; `rev` of their last change."""

    seq: int
    rev: int
    reactions: list[ReactionView]


class ReactionChange(Struct):
    user_id: str
    emoji: str
    added: bool


class ReactionsEvent(ReactionsView):
    """`changes`: what differs from before."""

    conversation_id: str
    changes: list[ReactionChange]


def counted(row: pb.MessageReactions) -> list[ReactionView]:
    return [ReactionView(each.emoji, each.count, each.mine or UNSET) for each in row.reactions]


def reactions(row: pb.MessageReactions) -> ReactionsView:
    return ReactionsView(row.seq, row.rev, counted(row))


def event(row: pb.MessageReactions, changes: list[tuple[int, str, bool]]) -> ReactionsEvent:
    """`changes`: user id, emoji, and whether it was added."""
    told = [ReactionChange(str(user_id), emoji, added) for user_id, emoji, added in changes]
    return ReactionsEvent(row.seq, row.rev, counted(row), str(row.conversation_id), told)
