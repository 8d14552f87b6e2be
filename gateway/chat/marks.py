"""Hiding, muting, pinning and deleting conversations for oneself: one function for each, which serves the frame of a
socket and the HTTP route alike (docs/chat-protocol.md).
"""

from datetime import datetime
from typing import Annotated

from msgspec import Meta, Struct

from gateway.chat.client import Chat
from gateway.chat.commands import Number, OfConversation
from gateway.http.params import Id, LongPageSize
from protos.chat.v1 import marks_pb2 as pb
from services.client_json import chat as client_json
from services.client_json.chat import MarkView


class Hide(Struct):
    """`hidden` false shows it again."""

    conversation_id: Id
    hidden: bool = True


class Mute(Struct):
    """`until`: RFC 3339; without it there is no end. `muted` false ends it."""

    conversation_id: Id
    muted: bool = True
    until: Annotated[datetime, Meta(tz=True)] | None = None


class Pin(Struct):
    conversation_id: Id
    pinned: bool = True


class ListMarks(Struct):
    """Those that changed after `from_rev`."""

    from_rev: Number = 0
    limit: LongPageSize = 100


class MarkPage(Struct):
    """In the order of their changes, up to `to_rev`; there are more if that is below `marks_rev`."""

    marks: list[MarkView]
    to_rev: int
    marks_rev: int


async def hide(chat: Chat, params: Hide) -> MarkView:
    request = pb.HideConversationRequest(conversation_id=params.conversation_id, hidden=params.hidden)
    return client_json.mark(await chat.marks.HideConversation(request))


async def mute(chat: Chat, params: Mute) -> MarkView:
    until = round(params.until.timestamp() * 1000) if params.until else 0
    request = pb.MuteConversationRequest(conversation_id=params.conversation_id, muted=params.muted, until=until)
    return client_json.mark(await chat.marks.MuteConversation(request))


async def pin(chat: Chat, params: Pin) -> MarkView:
    request = pb.PinConversationRequest(conversation_id=params.conversation_id, pinned=params.pinned)
    return client_json.mark(await chat.marks.PinConversation(request))


async def delete(chat: Chat, params: OfConversation) -> MarkView:
    request = pb.DeleteConversationRequest(conversation_id=params.conversation_id)
    return client_json.mark(await chat.marks.DeleteConversation(request))


async def list_marks(chat: Chat, params: ListMarks) -> MarkPage:
    page = await chat.marks.ListMarks(pb.ListMarksRequest(from_rev=params.from_rev, limit=params.limit))
    return MarkPage([client_json.mark(row) for row in page.marks], page.to_rev, page.marks_rev)
