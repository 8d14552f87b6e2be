"""Converts rows of files to protobuf."""

from typing import Any

from protos.media.v1.objects_pb2 import JobQueue, Object, OwnUpload, PartialUpload, State
from protos.media.v1.objects_pb2 import Variant as VariantMessage
from services.media.files.objects import ObjectDetails, Variant
from services.media.files.progress import Progress
from services.media.files.uploads import OwnUpload as Own
from services.media.signing import Signer


def own_object(details: ObjectDetails, progress: Progress, signer: Signer) -> Object:
    """For its uploader."""
    message = object_message(details, signer, signed=True)
    message.progress, message.stage = progress
    return message


def object_message(details: ObjectDetails, signer: Signer, signed: bool = False) -> Object:
    """`signed`: the paths of a private object are signed, for a caller who may see it."""
    row = details.row
    file = f"{row.hash}.{row.extension}"
    private = details.private and signed
    return Object(
        hash=row.hash,
        file=file,
        path=signer.path(file, private, row.duration),
        media_type=row.media_type,
        kind=row.kind,
        size=row.size,
        width=row.width,
        height=row.height,
        duration=row.duration,
        codec=row.codec,
        state=State.ValueType(row.state),
        reason=row.reason,
        cover_path=signer.path(details.cover, private) if details.cover else "",
        playback_path=signer.path(details.playback, private, row.duration) if details.playback else "",
        hls_path=signer.path(details.hls, private, row.duration) if details.hls else "",
        storyboard_path=signer.path(details.storyboard, private, row.duration) if details.storyboard else "",
        private=details.private,
        blurhash=row.blurhash,
        hidden=details.hidden,
        variants=[variant_message(variant) for variant in details.variants],
    )


def variant_message(variant: Variant) -> VariantMessage:
    return VariantMessage(**variant._asdict())


def own_upload(upload: Own, signer: Signer) -> OwnUpload:
    object = object_message(upload.details, signer, signed=True)
    return OwnUpload(object=object, uploaded_at=int(upload.uploaded_at.timestamp() * 1000), in_use=upload.in_use)


def partial_upload(row: Any, object: Object | None) -> PartialUpload:
    return PartialUpload(
        upload_id=row.id,
        size=row.size,
        offset=row.received,
        expires_at=int(row.expires_at.timestamp()),
        metadata=row.metadata,
        object=object,
    )


def job_queue(row: Any) -> JobQueue:
    return JobQueue(kind=row.kind, due=row.due, held=row.held, failed=row.failed, wait_seconds=row.wait)
