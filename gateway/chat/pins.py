"""Messages pinned for all members: one function for each request, which serves the frame of a socket and the HTTP route
alike (docs/chat-protocol.md).
"""

from msgspec import Struct

from gateway.chat import views
from gateway.chat.client import Chat
from gateway.chat.commands import Number, OfConversation
from gateway.http.params import Id
from protos.chat.v1 import pins_pb2 as pb
from services.client_json import chat as client_json
from services.client_json.chat import MessageView
from services.client_json.pins import PinView, pins


class PinMessage(Struct):
    """`pinned` false takes it off."""

    conversation_id: Id
    seq: Number
    pinned: bool = True


class PinnedPage(Struct):
    """All of the conversation, the last pinned first, with their messages; `rev` of the last change."""

    rev: int
    pins: list[PinView]
    messages: list[MessageView]


async def pin_message(chat: Chat, params: PinMessage) -> views.Changed:
    request = pb.PinMessageRequest(conversation_id=params.conversation_id, seq=params.seq, pinned=params.pinned)
    answer = await chat.pins.PinMessage(request)
    return views.Changed(str(params.conversation_id), params.seq, answer.rev)


async def list_pinned(chat: Chat, params: OfConversation) -> PinnedPage:
    request = pb.ListPinnedMessagesRequest(conversation_id=params.conversation_id)
    answer = await chat.pins.ListPinnedMessages(request)
    told, messages = pins(answer.pins), [client_json.message(row) for row in answer.messages]
    await chat.cards.fill(messages)
    return PinnedPage(told.rev, told.pins, messages)
