"""Files and shared videos in messages. Their metadata comes from the media service; the client's claims are ignored."""

import re
from collections.abc import Sequence
from typing import Any

import grpc.aio
import msgspec

from protos.media.v1.objects_pb2 import BatchGetObjectsRequest, GetStatusRequest, Object
from protos.media.v1.objects_pb2_grpc import ObjectsStub
from services.chat.batched_lookup import BatchedLookup
from services.chat.errors import MediaUnavailable, MessageInvalid, ObjectNotFound
from services.chat.sending.content import Body, with_value
from services.chat.sending.video_cards import VideoCards
from services.client_json.cards import VIDEO_CARD
from services.kit.errors import reason_of

KINDS = {"image": ("image",), "video": ("video",), "audio": ("audio",), "file": ("image", "video", "audio", "document")}
PATH = re.compile(r"(?:^|/)media/([0-9a-f]{64})\.[a-z0-9]{1,5}(?:\?.*)?$")
TIMEOUT = 2.0  # seconds
FACTS = ("media_type", "size", "width", "height", "duration", "blurhash")  # the metadata of a file
MADE = ("thumbnail", "playback")
THUMBNAIL_WIDTH = 512  # pixels; one of the sizes that the gateway serves (docs/files.md)


class Attachments:
    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub, self._cards = ObjectsStub(channel), VideoCards(channel)
        self._objects = BatchedLookup[str, Object | None](self._ask, MediaUnavailable)

    async def fill(self, content_type: str, body: Body) -> Body:
        """The body with the metadata of the file at its `url`; unchanged for a content type without a file.

        The caller may attach public files and their own uploads. Raises MessageInvalid, MessageTooLarge,
        ObjectNotFound, VideoNotFound, MediaUnavailable.
        """
        if content_type == VIDEO_CARD:
            return await self._cards.fill(body)
        kinds = KINDS.get(content_type)
        if kinds is None:
            return body
        value = msgspec.json.decode(body.text)
        url = value.get("url") if isinstance(value, dict) else None
        if not isinstance(url, str):
            raise MessageInvalid(field="body.url")
        found = PATH.search(url)
        object = await self._objects.get(found[1]) if found else None
        if object is None:
            raise ObjectNotFound
        if object.private:
            await self._require_own(object)
        if object.kind not in kinds:
            raise MessageInvalid(field="content_type")
        return with_value(body, _described(value, object))

    async def _ask(self, hashes: Sequence[str]) -> list[Object | None]:
        request = BatchGetObjectsRequest(hashes=hashes, hold=True)
        objects = (await self._stub.BatchGetObjects(request, timeout=TIMEOUT)).objects
        found = {object.hash: object for object in objects}
        return [found.get(hash) for hash in hashes]

    async def _require_own(self, object: Object) -> None:
        """Raises ObjectNotFound unless the caller uploaded the private file: the media service knows its owner."""
        try:
            await self._stub.GetStatus(GetStatusRequest(hash=object.hash), timeout=TIMEOUT)
        except grpc.aio.AioRpcError as error:
            raise (ObjectNotFound if reason_of(error) == ObjectNotFound.reason else MediaUnavailable) from None


def _described(value: dict[str, Any], object: Object) -> dict[str, Any]:
    facts = {name: getattr(object, name) for name in FACTS}
    rest = {name: given for name, given in value.items() if name not in (*FACTS, *MADE)}
    facts |= {"thumbnail": _thumbnail(object), "playback": _playback(object)}
    return rest | {"url": f"/media/{object.file}"} | {name: fact for name, fact in facts.items() if fact}


def _playback(object: Object) -> str:
    """The address of what browsers play of a video or an animation, once it is made."""
    is_moving = object.kind == "video" or (object.kind == "image" and object.duration)
    return f"/media/{object.file}?as=mp4" if is_moving else ""


def _thumbnail(object: Object) -> dict[str, Any]:
    """A small picture of a picture or a video. Its address is valid before a video's cover is made."""
    if object.kind not in ("image", "video") or not object.width:
        return {}
    width = min(object.width, THUMBNAIL_WIDTH)
    height = max(round(object.height * width / object.width), 1)
    return {"url": f"/media/{object.file}?w={THUMBNAIL_WIDTH}", "width": width, "height": height}
