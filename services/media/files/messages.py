"""Rows to protobuf."""

from typing import Any

from protos.media.v1.objects_pb2 import Object, PartialUpload, State
from services.media.files.objects import View
from services.media.signing import Signer


def object_message(view: View, signer: Signer, signed: bool = False) -> Object:
    """With `signed` the paths of a private object are good for whoever gets them."""
    row = view.row
    file = f"{row.hash}.{row.extension}"
    private = view.private and signed
    return Object(
        hash=row.hash,
        file=file,
        path=signer.path(file, private),
        media_type=row.media_type,
        kind=row.kind,
        size=row.size,
        width=row.width,
        height=row.height,
        duration=row.duration,
        codec=row.codec,
        state=State.ValueType(row.state),
        reason=row.reason,
        cover_path=signer.path(view.cover, private) if view.cover else "",
        playback_path=signer.path(view.playback, private) if view.playback else "",
        hls_path=signer.path(view.hls, private) if view.hls else "",
        private=view.private,
    )


def partial_upload(row: Any, object: Object | None) -> PartialUpload:
    return PartialUpload(
        upload_id=row.id,
        size=row.size,
        offset=row.received,
        expires_at=int(row.expires_at.timestamp()),
        metadata=row.metadata,
        object=object,
    )
