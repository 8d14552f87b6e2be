"""Reactions to messages: one function for each request, which serves the frame of a socket and the HTTP route alike
(docs/chat-protocol.md).
"""

from typing import Annotated

from msgspec import Meta, Struct

from gateway.chat.client import Chat
from gateway.chat.commands import Number
from gateway.http.params import Id, PageSize
from protos.chat.v1 import reactions_pb2 as pb
from services.client_json.reactions import ReactionsView, reactions
from services.client_json.times import rfc3339

Emoji = Annotated[str, Meta(min_length=1, max_length=64, description="one emoji")]


class React(Struct):
    """`reacted` false takes it back."""

    conversation_id: Id
    seq: Number
    emoji: Emoji
    reacted: bool = True


class ListReactors(Struct):
    """Of one emoji, or of all."""

    conversation_id: Id
    seq: Number
    emoji: Annotated[str, Meta(max_length=64)] = ""
    cursor: str = ""
    limit: PageSize = 50


class Reactor(Struct):
    user_id: str
    emoji: str
    created_at: str


class ReactorPage(Struct):
    """By user and emoji. `next_cursor` is empty on the last page."""

    reactors: list[Reactor]
    next_cursor: str


async def react(chat: Chat, params: React) -> ReactionsView:
    return reactions(await chat.reacting.set(params.conversation_id, params.seq, params.emoji, params.reacted))


async def list_reactors(chat: Chat, params: ListReactors) -> ReactorPage:
    request = pb.ListReactorsRequest(
        conversation_id=params.conversation_id,
        seq=params.seq,
        emoji=params.emoji,
        cursor=params.cursor,
        limit=params.limit,
    )
    page = await chat.reactions.ListReactors(request)
    reactors = [Reactor(str(row.user_id), row.emoji, rfc3339(row.created_at)) for row in page.reactors]
    return ReactorPage(reactors, page.next_cursor)
