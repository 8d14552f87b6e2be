"""Resumable uploads at /api/file/tus, by the tus protocol 1.0.0 (https://tus.io/protocols/resumable-upload).

The response that finishes an upload carries the file's url in X-File-Url, and so does the response to a later HEAD.
"""

from collections.abc import AsyncIterator
from email.utils import formatdate
from typing import Any

from litestar.enums import HttpMethod
from litestar.handlers import HTTPRouteHandler
from litestar.response.base import ASGIResponse

from gateway.container import Call
from gateway.files.streaming import AnyRequest, StreamedEndpoint, body_of, chunks_of, send
from gateway.files.urls import absolute
from gateway.http.endpoint import NoParams
from gateway.http.envelopes import SHORT_VIDEO
from gateway.http.errors import (
    BodyIncomplete,
    ContentTypeInvalid,
    ParameterInvalid,
    ParameterMissing,
    TusVersionInvalid,
)
from gateway.http.limits.rate_limits import RateLimit, per_minute, per_second
from protos.media.v1.objects_pb2 import (
    AppendHeader,
    AppendUploadRequest,
    CreateUploadRequest,
    DeleteUploadRequest,
    GetUploadRequest,
    PartialUpload,
)
from services.kit.ids import MAX_ID

PATH = "/api/file/tus"
VERSION = "1.0.0"
HEADERS = {"tus-resumable": VERSION, "cache-control": "no-store"}  # of every response, errors included
CAPABILITIES = HEADERS | {
    "tus-version": VERSION,
    "tus-extension": "creation,creation-with-upload,expiration,checksum,termination",
    "tus-checksum-algorithm": "sha1,sha256,md5",
}
CONTENT_TYPE = "application/offset+octet-stream"
MAX_METADATA = 4_096
FINISH_SECONDS = 600.0  # for the media service to inspect a finished file and store it


async def create(call: Call, request: AnyRequest) -> ASGIResponse:
    """POST: a new upload, and its first bytes if the request has a body."""
    if "upload-length" not in request.headers:
        # Upload-Defer-Length, a length given later, is not among the CAPABILITIES.
        raise ParameterMissing(field="upload-length")
    metadata = request.headers.get("upload-metadata", "")
    if len(metadata) > MAX_METADATA:
        raise ParameterInvalid(field="upload-metadata")
    create_request = CreateUploadRequest(size=_number(request, "upload-length"), metadata=metadata)
    upload = await call.container.uploads.CreateUpload(create_request)
    location = {"location": absolute(call, f"{PATH}/{upload.upload_id}")}
    if request.headers.get("content-type", "").lower() == CONTENT_TYPE:
        upload = await _append(call, request, upload.upload_id, 0)
    return _response(call, upload, 201, location)


async def use(call: Call, request: AnyRequest) -> ASGIResponse:
    """HEAD, PATCH and DELETE of an upload; POST with X-HTTP-Method-Override for clients that cannot send those."""
    method: str = request.headers.get("x-http-method-override", request.method).upper()
    upload_id: int = request.path_params["upload_id"]
    if upload_id > MAX_ID:
        upload_id = 0
    if method == "HEAD":
        upload = await call.container.uploads.GetUpload(GetUploadRequest(upload_id=upload_id), timeout=FINISH_SECONDS)
        more = {"upload-length": str(upload.size)}
        return _response(call, upload, 200, more | ({"upload-metadata": upload.metadata} if upload.metadata else {}))
    if method == "DELETE":
        await call.container.uploads.DeleteUpload(DeleteUploadRequest(upload_id=upload_id))
        return ASGIResponse(status_code=204, headers=HEADERS)
    if method != "PATCH":
        raise ParameterInvalid
    if request.headers.get("content-type", "").lower() != CONTENT_TYPE:
        raise ContentTypeInvalid(field="content-type")
    return _response(call, await _append(call, request, upload_id, _number(request, "upload-offset")), 204)


async def _append(call: Call, request: AnyRequest, upload_id: int, offset: int) -> PartialUpload:
    checksum = request.headers.get("upload-checksum", "")

    async def requests() -> AsyncIterator[AppendUploadRequest]:
        yield AppendUploadRequest(header=AppendHeader(upload_id=upload_id, offset=offset, checksum=checksum))
        async for chunk in chunks_of(_received(request, checksum)):
            yield AppendUploadRequest(chunk=chunk)

    upload: PartialUpload = await send(
        call.container.uploads.AppendUpload, requests(), call.container.settings.upload_seconds
    )
    if upload.object.hash:
        call.container.files.drop(upload.object.hash)
    return upload


async def _received(request: AnyRequest, checksum: str) -> AsyncIterator[bytes]:
    """The body. If it breaks off, the bytes so far are kept; with a checksum of the whole, raises BodyIncomplete."""
    try:
        async for piece in body_of(request):
            yield piece
    except BodyIncomplete:
        if checksum:
            raise


def _number(request: AnyRequest, header: str) -> int:
    text = request.headers.get(header, "")
    if not text.isdecimal() or len(text) > 18:
        raise ParameterInvalid(field=header)
    return int(text)


def _response(call: Call, upload: PartialUpload, status: int, more: dict[str, str] | None = None) -> ASGIResponse:
    headers = HEADERS | {"upload-offset": str(upload.offset)} | (more or {})
    if upload.object.hash:
        headers["x-file-url"] = absolute(call, upload.object.path)
    else:
        headers["upload-expires"] = formatdate(upload.expires_at, usegmt=True)
    return ASGIResponse(status_code=status, headers=headers)


class _TusEndpoint(StreamedEndpoint):
    __slots__ = ()

    async def serve(self, request: AnyRequest) -> ASGIResponse:
        if request.method == "OPTIONS":
            return ASGIResponse(status_code=204, headers=CAPABILITIES)
        if request.headers.get("tus-resumable") != VERSION:
            raise TusVersionInvalid
        response: ASGIResponse = await self.function(await self.admit(request), request)
        return response


def _handler(path: str, methods: list[HttpMethod], limit: RateLimit, function: Any) -> HTTPRouteHandler:
    endpoint = _TusEndpoint("POST", (path,), SHORT_VIDEO, limit, True, function, NoParams, None)

    async def serve(request: AnyRequest) -> ASGIResponse:
        return await endpoint.serve(request)

    return HTTPRouteHandler(path, http_method=methods, status_code=200, request_max_body_size=None)(serve)


handlers = [
    _handler(PATH, [HttpMethod.POST, HttpMethod.OPTIONS], per_minute(3, 5), create),
    _handler(
        PATH + "/{upload_id:int}",
        [HttpMethod.HEAD, HttpMethod.PATCH, HttpMethod.DELETE, HttpMethod.POST, HttpMethod.OPTIONS],
        per_second(20, 40),
        use,
    ),
]
