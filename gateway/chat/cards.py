"""The cards of videos that messages share, looked up for the current caller when they read, all of a page at once.

History, searches and lists of pinned messages carry them. For a message that came live or in a sync, which is the same
for all members, a client asks with the frame `cards` or over HTTP.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import grpc.aio
import msgspec
import structlog
from msgspec import Struct

from gateway.http.errors import ParameterInvalid
from gateway.http.params import Id
from protos.media.v1.videos_pb2 import Video
from services.client_json.cards import VIDEO_CARD, CardView, card
from services.client_json.chat import MessageView

MAX_CARDS = 100  # as many as a page of messages has

log = structlog.get_logger("chat")

Find = Callable[[Sequence[int]], Awaitable[Mapping[int, Video]]]  # those that the current caller may see


class AskedCards(Struct):
    """At most 100."""

    video_ids: list[Id]


class CardPage(Struct):
    """In the order asked for."""

    cards: list[CardView]


async def nothing(video_ids: Sequence[int]) -> Mapping[int, Video]:
    return {}


class Cards:
    def __init__(self, find: Find = nothing, shared: Callable[[int], None] = lambda video_id: None) -> None:
        """`shared` is called after the caller shared a video, whose count has grown."""
        self._find, self.shared = find, shared

    async def of(self, video_ids: Sequence[int]) -> list[CardView]:
        """Raises ParameterInvalid for more than 100."""
        if len(video_ids) > MAX_CARDS:
            raise ParameterInvalid(field="video_ids")
        found = await self._find(list(dict.fromkeys(video_ids))) if video_ids else {}
        return [card(id, found.get(id)) for id in video_ids]

    async def fill(self, messages: Sequence[MessageView]) -> None:
        """Gives each message that shares a video its card; none while the media service is away."""
        sharing = [(message, id) for message in messages if (id := shared_video(message.content_type, message.body))]
        try:
            cards = await self.of([id for _, id in sharing])
        except grpc.aio.AioRpcError as error:
            log.warning("no cards of shared videos", status=error.code().name)
            return
        for (message, _), view in zip(sharing, cards, strict=True):
            message.card = view


def shared_video(content_type: str, body: Any) -> int:
    """The id of the video that a message shares; 0 if it shares none, or was recalled."""
    if content_type != VIDEO_CARD:
        return 0
    value = msgspec.json.decode(body) if isinstance(body, bytes | msgspec.Raw) else body
    id = str(value.get("video_id", "")) if isinstance(value, dict) else ""
    return int(id) if id.isascii() and id.isdigit() and len(id) < 20 else 0
