"""api/file/*: uploads, and how far their processing is."""

from collections.abc import AsyncIterator
from typing import Annotated, Any, get_type_hints

from litestar import Request
from msgspec import Meta, Struct

from gateway.files.serving import absolute, hash_in
from gateway.files.streaming import FileForm, StreamedEndpoint, chunks_of, send
from gateway.http.endpoint import Call, endpoint
from gateway.http.envelopes import SHORT_VIDEO
from gateway.http.errors import ParameterInvalid
from gateway.http.params import Text
from gateway.http.rate_limits import per_minute, per_second
from protos.media.v1.objects_pb2 import GetStatusRequest, Object, RetryRequest, State, UploadHeader, UploadRequest

STATES = {State.PROCESSING: "processing", State.READY: "ready", State.FAILED: "failed"}


class FileView(Struct):
    """`cover`, `playback` and `hls` (a playlist) are urls, "" while there is none; times in milliseconds."""

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
    cover: str
    playback: str
    hls: str


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
            raise ParameterInvalid
        return hash


def view_of(call: Call, object: Object) -> FileView:
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
        cover=absolute(call, object.cover_path),
        playback=absolute(call, object.playback_path),
        hls=absolute(call, object.hls_path),
    )


async def upload(call: Call, params: UploadForm) -> FileView:
    """One file, as the form's `file`; the same file again has the same url."""
    request: Request[Any, Any, Any] = params  # type: ignore[assignment]  # a StreamedEndpoint's
    form = FileForm(request)
    announced = int(length) if (length := request.headers.get("content-length", "")).isdecimal() else 0

    async def requests() -> AsyncIterator[UploadRequest]:
        yield UploadRequest(header=UploadHeader(size=announced))
        async for chunk in chunks_of(form.read()):
            yield UploadRequest(chunk=chunk)

    object = await send(call.container.objects.Upload, requests(), call.container.settings.upload_seconds)
    call.container.files.drop(object.hash)
    return view_of(call, object)


@endpoint("GET", "/api/file/status", family=SHORT_VIDEO, limit=per_second(10, 20))
async def status(call: Call, params: ByFile) -> FileView:
    """How far the processing of one's upload is: processing, ready, or failed and why."""
    return view_of(call, await call.container.objects.GetStatus(GetStatusRequest(hash=params.hash)))


@endpoint("POST", "/api/file/retry", family=SHORT_VIDEO, limit=per_minute(10))
async def retry(call: Call, params: ByFile) -> FileView:
    """Process a failed upload again."""
    return view_of(call, await call.container.objects.Retry(RetryRequest(hash=params.hash)))


_upload = StreamedEndpoint(
    "POST",
    ("/api/file/upload",),
    SHORT_VIDEO,
    per_minute(3, 5),
    True,
    upload,
    UploadForm,
    get_type_hints(upload)["return"],
)

endpoints = [_upload.handler(), status, retry]
