"""Uploaded pictures as avatars and group icons."""

import asyncio
from typing import NamedTuple

import grpc.aio

from gateway.container import Call
from gateway.files.urls import hash_in
from gateway.http.errors import ObjectNotFound
from protos.media.v1.objects_pb2 import UseObjectRequest
from services.kit.errors import Unavailable

FACTS_SECONDS = 0.5  # an answer does not wait longer for them


class PictureFacts(NamedTuple):
    """Of one of our public pictures; empty and 0 if they are not known."""

    blurhash: str = ""
    width: int = 0
    height: int = 0


async def facts_of(call: Call, url: str) -> PictureFacts:
    hash = hash_in(url) if url else None
    if hash is None:
        return PictureFacts()
    try:
        async with asyncio.timeout(FACTS_SECONDS):
            picture = await call.container.files.load(hash)
    except (grpc.aio.AioRpcError, TimeoutError, Unavailable):
        return PictureFacts()
    if picture is None or picture.private:
        return PictureFacts()
    return PictureFacts(picture.blurhash, picture.width, picture.height)


async def use_picture(call: Call, url: str | None) -> None:
    """Keeps an uploaded picture that the caller is about to show; urls of other sites are not looked at.

    Raises ObjectNotFound for a file that the caller did not upload (docs/contract/api.md, "Files"), and
    OBJECT_KIND_INVALID for one that is no picture.
    """
    hash = hash_in(url) if url else None
    if hash is None or await call.container.files.load(hash) is None:
        return
    if not call.caller.user_id:
        raise ObjectNotFound
    await call.container.objects.UseObject(UseObjectRequest(hash=hash, kind="image"))
