"""Search in one's messages, which serves the frame of a socket and the HTTP route alike (docs/chat-protocol.md)."""

from datetime import datetime
from typing import Annotated

from msgspec import Meta, Struct

from gateway.chat.client import Chat
from gateway.http.limits.rate_limits import per_second
from gateway.http.params import Id, PageSize
from protos.chat.v1 import conversations_pb2 as pb
from services.client_json import chat as client_json
from services.client_json.chat import MessageView

LIMIT = per_second(2, 10)  # of one user, over sockets and HTTP together
BUCKET = "/api/chat/search"
MAX_TEXT = 200  # characters

Time = Annotated[datetime, Meta(tz=True)]


class Search(Struct):
    """`text`: words or beginnings of words, all of which a message has; empty only with a sender or a content type.
    Without a conversation: in all of one's own. `content_types`: separated by commas. Times are RFC 3339."""

    text: Annotated[str, Meta(max_length=MAX_TEXT)] = ""
    conversation_id: Id | None = None
    sender_id: Id | None = None
    content_types: Annotated[
        str, Meta(max_length=100, description="of text image video audio file emoji custom video_card")
    ] = ""
    since: Time | None = None
    until: Time | None = None
    cursor: str = ""
    limit: PageSize = 20


class FoundPage(Struct):
    """The newest first. `next_cursor` is empty on the last page."""

    messages: list[MessageView]
    next_cursor: str


async def search(chat: Chat, params: Search) -> FoundPage:
    request = pb.SearchMessagesRequest(
        text=params.text,
        conversation_id=params.conversation_id or 0,
        cursor=params.cursor,
        limit=params.limit,
        sender_id=params.sender_id or 0,
        content_types=[each.strip() for each in params.content_types.split(",") if each.strip()],
        since=_milliseconds(params.since),
        until=_milliseconds(params.until),
    )
    page = await chat.conversations.SearchMessages(request)
    messages = [client_json.message(row) for row in page.messages]
    await chat.cards.fill(messages)
    return FoundPage(messages, page.next_cursor)


def _milliseconds(moment: datetime | None) -> int:
    return max(round(moment.timestamp() * 1000), 1) if moment else 0
