"""Videos that messages share. The message names the video alone: what readers see of it, they are shown when they read,
each as much as they may see then (gateway/chat/cards.py)."""

from typing import Any

import grpc.aio
import msgspec

from protos.media.v1.videos_pb2 import ShareVideoRequest
from protos.media.v1.videos_pb2_grpc import VideosStub
from services.chat.errors import MediaUnavailable, MessageInvalid, VideoNotFound
from services.chat.sending.content import Body, search_words, with_value
from services.kit.errors import reason_of
from services.kit.ids import MAX_ID

TIMEOUT = 2.0  # seconds


class VideoCards:
    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._videos = VideosStub(channel)

    async def fill(self, body: Body) -> Body:
        """The body with only `video_id` and `text`. The video counts as shared by the caller, once.

        Raises MessageInvalid, VideoNotFound for one that the caller may not see, MediaUnavailable.
        """
        value = msgspec.json.decode(body.text)
        video_id = _id_in(value)
        try:
            await self._videos.ShareVideo(ShareVideoRequest(video_id=video_id), timeout=TIMEOUT)
        except grpc.aio.AioRpcError as error:
            raise (VideoNotFound if reason_of(error) == VideoNotFound.reason else MediaUnavailable) from None
        said = {"text": value["text"]} if isinstance(value.get("text"), str) else {}
        return with_value(body._replace(words=search_words(said)), {"video_id": str(video_id)} | said)


def _id_in(value: Any) -> int:
    given = value.get("video_id") if isinstance(value, dict) else None
    if isinstance(given, int) and not isinstance(given, bool):
        given = str(given)
    if not isinstance(given, str) or not (given.isascii() and given.isdigit()) or not 0 < int(given[:20]) <= MAX_ID:
        raise MessageInvalid(field="body.video_id")
    return int(given[:20])
