"""Files in messages: what one is, the media service says, and not who sends it."""

import re
from collections.abc import Sequence
from typing import Any

import grpc.aio
import msgspec

from protos.media.v1.objects_pb2 import BatchGetObjectsRequest, GetStatusRequest, Object
from protos.media.v1.objects_pb2_grpc import ObjectsStub
from services.chat.errors import MediaUnavailable, MessageInvalid, ObjectNotFound
from services.chat.sending.batched_lookup import Answers
from services.chat.sending.content import Body, resized
from services.kit.errors import reason_of

KINDS = {"image": ("image",), "video": ("video",), "audio": ("audio",), "file": ("image", "video", "audio", "document")}
PATH = re.compile(r"(?:^|/)media/([0-9a-f]{64})\.[a-z0-9]{1,5}(?:\?.*)?$")
TIMEOUT = 2.0  # seconds
FACTS = ("media_type", "size", "width", "height", "duration")  # of a file, as the media service knows them


class Attachments:
    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = ObjectsStub(channel)
        self._objects = Answers[str, Object | None](self._ask, MediaUnavailable)

    async def fill(self, content_type: str, body: Body) -> Body:
        """The body of a message of that type, in which the file at its `url` is described as it is.

        The caller may show what is for everyone, and what he uploaded himself. Raises MessageInvalid, MessageTooLarge,
        ObjectNotFound, MediaUnavailable.
        """
        kinds = KINDS.get(content_type)
        if kinds is None:
            return body
        value = msgspec.json.decode(body.text)
        url = value.get("url") if isinstance(value, dict) else None
        if not isinstance(url, str):
            raise MessageInvalid("body.url")
        found = PATH.search(url)
        object = await self._objects.get(found[1]) if found else None
        if object is None:
            raise ObjectNotFound
        if object.private:
            await self._require_own(object)
        if object.kind not in kinds:
            raise MessageInvalid("content_type")
        return resized(body, _described(value, object))

    async def _ask(self, hashes: Sequence[str]) -> list[Object | None]:
        request = BatchGetObjectsRequest(hashes=hashes)
        objects = (await self._stub.BatchGetObjects(request, timeout=TIMEOUT)).objects
        found = {object.hash: object for object in objects}
        return [found.get(hash) for hash in hashes]

    async def _require_own(self, object: Object) -> None:
        """A private file is told to whoever uploaded it; it is unknown to all others."""
        try:
            await self._stub.GetStatus(GetStatusRequest(hash=object.hash), timeout=TIMEOUT)
        except grpc.aio.AioRpcError as error:
            raise (ObjectNotFound if reason_of(error) == ObjectNotFound.reason else MediaUnavailable) from None


def _described(value: dict[str, Any], object: Object) -> dict[str, Any]:
    facts = {name: getattr(object, name) for name in FACTS}
    rest = {name: given for name, given in value.items() if name not in FACTS}
    return rest | {"url": f"/media/{object.file}"} | {name: fact for name, fact in facts.items() if fact}
