"""api/file/*: uploads, and how far their processing is."""

from collections.abc import AsyncIterator
from typing import Annotated

from msgspec import Meta, Struct, structs

from gateway.api.shortvideo.video_views import STATES
from gateway.container import Call
from gateway.files.streaming import AnyRequest, FileForm, chunks_of, send, upload_endpoint
from gateway.files.urls import absolute, hash_in
from gateway.http.endpoint import endpoint
from gateway.http.envelopes import SHORT_VIDEO
from gateway.http.errors import ParameterInvalid
from gateway.http.limits.rate_limits import per_minute, per_second
from gateway.http.params import PageSize, Text
from protos.media.v1 import objects_pb2 as pb
from protos.media.v1.objects_pb2 import GetStatusRequest, Object, RetryRequest, UploadHeader, UploadRequest
from services.client_json.times import rfc3339


class FileView(Struct):
    """`cover`, `playback`, `hls` (a playlist) and `storyboard` (WebVTT whose cues name tiles of a sheet) are urls, ""
    until they exist; `duration` in milliseconds. `progress` is per cent of what is done until it is ready; `stage` is
    waiting, cover, encoding, sizes (it plays, and better versions are made), ready or failed. Lists of files tell
    neither of what is processed: they are 0 and the status there."""

    url: str
    id: str
    type: str
    kind: str
    size: int
    width: int
    height: int
    duration: int
    codec: str
    status: str
    reason: str
    progress: int
    stage: str
    cover: str
    playback: str
    hls: str
    storyboard: str
    blurhash: str


class OwnFile(FileView):
    """An upload of the caller; `in_use`: a video of theirs shows it. `uploaded_at` in RFC 3339."""

    uploaded_at: str
    in_use: bool


class FilePage(Struct):
    files: list[OwnFile]
    next_cursor: str


class ListFiles(Struct):
    cursor: str = ""
    limit: PageSize = 20


class UploadForm(Struct):
    file: Annotated[str, Meta(extra_json_schema={"format": "binary"})]


class ByFile(Struct):
    """`id` is a file's url or the hash in it."""

    id: Text

    @property
    def hash(self) -> str:
        """Raises ParameterInvalid."""
        hash = hash_in(self.id)
        if hash is None:
            raise ParameterInvalid(field="id")
        return hash


def _file_view(call: Call, object: Object) -> FileView:
    return FileView(
        url=absolute(call, object.path),
        id=object.hash,
        type=object.media_type,
        kind=object.kind,
        size=object.size,
        width=object.width,
        height=object.height,
        duration=object.duration,
        codec=object.codec,
        status=STATES[object.state],
        reason=object.reason,
        progress=object.progress or 100 * (object.state == pb.READY),
        stage=object.stage or STATES[object.state],
        cover=absolute(call, object.cover_path),
        playback=absolute(call, object.playback_path),
        hls=absolute(call, object.hls_path),
        storyboard=absolute(call, object.storyboard_path),
        blurhash=object.blurhash,
    )


def _own_file(call: Call, upload: pb.OwnUpload) -> OwnFile:
    file = structs.asdict(_file_view(call, upload.object))
    return OwnFile(**file, uploaded_at=rfc3339(upload.uploaded_at), in_use=upload.in_use)


@upload_endpoint("/api/file/upload", family=SHORT_VIDEO, limit=per_minute(3, 5), form=UploadForm)
async def upload(call: Call, request: AnyRequest) -> FileView:
    """One file, as the form's `file`; the same file again has the same url."""
    form = FileForm(request)
    length = request.headers.get("content-length", "")

    async def requests() -> AsyncIterator[UploadRequest]:
        yield UploadRequest(header=UploadHeader(size=int(length) if length.isdecimal() else 0))
        async for chunk in chunks_of(form.read()):
            yield UploadRequest(chunk=chunk)

    object = await send(call.container.objects.Upload, requests(), call.container.settings.upload_seconds)
    call.container.files.drop(object.hash)
    return _file_view(call, object)


@endpoint("GET", "/api/file/status", family=SHORT_VIDEO, limit=per_second(10, 20))
async def status(call: Call, params: ByFile) -> FileView:
    """The state of one's upload: processing, ready, or failed with the reason."""
    return _file_view(call, await call.container.objects.GetStatus(GetStatusRequest(hash=params.hash)))


@endpoint("POST", "/api/file/retry", family=SHORT_VIDEO, limit=per_minute(10))
async def retry(call: Call, params: ByFile) -> FileView:
    """Process a failed upload again."""
    return _file_view(call, await call.container.objects.Retry(RetryRequest(hash=params.hash)))


@endpoint("GET", "/api/file/mine", family=SHORT_VIDEO, limit=per_second(4, 8))
async def mine(call: Call, params: ListFiles) -> FilePage:
    """The caller's uploads with their sizes, kinds and states, the last one first."""
    page = await call.container.objects.ListUploads(pb.ListUploadsRequest(cursor=params.cursor, limit=params.limit))
    return FilePage([_own_file(call, upload) for upload in page.uploads], page.next_cursor)


@endpoint("POST", "/api/file/delete", family=SHORT_VIDEO, limit=per_minute(20, 40))
async def delete(call: Call, params: ByFile) -> None:
    """Delete one's upload: it is no longer served. Refused while a video of the caller shows it."""
    await call.container.objects.DeleteObject(pb.DeleteObjectRequest(hash=params.hash))
    call.container.files.drop(params.hash)


endpoints = [upload, mine, status, retry, delete]
