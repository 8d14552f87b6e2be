"""Uploaded pictures as avatars and group icons."""

from gateway.container import Call
from gateway.files.urls import hash_in
from gateway.http.errors import ObjectNotFound
from protos.media.v1.objects_pb2 import UseObjectRequest


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
