"""api/user/export*: a link to all that hitok holds of a user, and the archive behind it."""

from collections.abc import AsyncIterator
from contextlib import aclosing, suppress
from time import monotonic
from typing import Any

import grpc.aio
from litestar import Request
from litestar.enums import HttpMethod
from litestar.handlers import HTTPRouteHandler
from litestar.response.base import ASGIResponse
from msgspec import Struct

from gateway.api.shortvideo.users import OURS
from gateway.api.timeouts import HASHING_TIMEOUT
from gateway.container import Call, Container
from gateway.files.archive import Size, archive
from gateway.files.responses import ChunkedResponse, HeadersResponse
from gateway.files.urls import absolute
from gateway.http.client_info import ClientInfo
from gateway.http.endpoint import NoParams, endpoint
from gateway.http.envelopes import SHORT_VIDEO
from gateway.http.limits.rate_limits import RateLimit, declare, per_minute
from gateway.http.params import Text
from protos.user.v1 import exports_pb2 as pb
from services.client_json.times import rfc3339
from services.kit.context import Caller, current_caller, current_deadline, network_of
from services.kit.errors import Unavailable

DOWNLOAD = "/api/user/export/download"
PER_USER = RateLimit(6, 3_600, 6)
BUSY_SECONDS = 30.0  # after which to try again
REPORT_EVERY, REPORT_SECONDS = 2.0, 5.0  # seconds
HEADERS = [
    (b"content-type", b"application/zip"),
    (b"content-disposition", b'attachment; filename="hitok-export.zip"'),
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
]


class RequestExport(Struct):
    password: Text


class ExportView(Struct):
    """`status` is `none`, `preparing` while what there is is counted (`done` of `total` lists), or `ready`: the link is
    good until `expires_at` and was mailed, unless the account has no email: then the answer to the request has it as
    `url`, and nothing else does. `rows`, `files` and `bytes`, before they are compressed, are what it holds, and
    `downloaded_bytes` what of them was sent in the last download; `downloaded_at` is when one was complete, or "".
    """

    status: str
    requested_at: str = ""
    expires_at: str = ""
    mailed: bool = False
    url: str = ""
    done: int = 0
    total: int = 0
    rows: int = 0
    files: int = 0
    bytes: int = 0
    downloaded_bytes: int = 0
    downloaded_at: str = ""


def _view(link: pb.ExportLink) -> ExportView:
    if not link.requested_at:
        return ExportView("none")
    return ExportView(
        status="ready" if link.ready else "preparing",
        requested_at=rfc3339(link.requested_at),
        expires_at=rfc3339(link.expires_at),
        mailed=link.mailed,
        url=link.link,
        done=link.done,
        total=link.total,
        rows=link.size.rows,
        files=link.size.files,
        bytes=link.size.bytes,
        downloaded_bytes=link.downloaded_bytes,
        downloaded_at=rfc3339(link.downloaded_at) if link.downloaded_at else "",
    )


@endpoint("POST", "/api/user/export", family=SHORT_VIDEO, limit=per_minute(4))
async def request_export(call: Call, params: RequestExport) -> ExportView:
    """Mail a link, good for a day, to an archive of all that is one's own; without an email the answer has it."""
    request = pb.RequestExportRequest(password=params.password, address=absolute(call, DOWNLOAD))
    link = await call.container.exports.RequestExport(request, timeout=HASHING_TIMEOUT)
    call.container.export_wanted.set()
    return _view(link)


@endpoint("GET", "/api/user/export-status", "/api/user/export", family=SHORT_VIDEO, limit=OURS)
async def export_status(call: Call, params: NoParams) -> ExportView:
    """How far the preparation of an export is, what it holds, and until when its link is good."""
    return _view(await call.container.exports.GetExport(pb.GetExportRequest()))


async def _download(request: Request[Any, Any, Any]) -> ASGIResponse:
    """The archive. Raises TooManyRequests, ExportNotFound, Unavailable."""
    container: Container = request.app.state.container
    await container.limiter.take(DOWNLOAD, per_minute(10), network_of(ClientInfo(request.scope).ip))
    opened = await container.exports.OpenExport(pb.OpenExportRequest(key=request.query_params.get("key", "")))
    if request.method == HttpMethod.HEAD:  # mail programs look at links before their reader does
        return HeadersResponse(200, HEADERS)
    await container.limiter.take(f"{DOWNLOAD}:user", PER_USER, str(opened.user_id))
    if container.archives.locked():
        raise Unavailable("other exports are being made", retry_after=BUSY_SECONDS)
    current_caller.set(Caller(opened.user_id, opened.role))
    return _ArchiveResponse(container, opened.id)


class _ArchiveResponse(ChunkedResponse):
    """Ends the making of the archive with its download, also when the client leaves. Reports how much was sent."""

    __slots__ = ("_exports", "_id", "_made", "_reported_at", "_size", "_turns")

    def __init__(self, container: Container, id: int) -> None:
        self._size, self._reported_at = Size(), 0.0
        self._made, self._turns = archive(container, self._size), container.archives
        self._exports, self._id = container.exports, id
        super().__init__(self._reported(), 200, HEADERS)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        current_deadline.set(None)  # it lasts as long as its download
        async with self._turns, aclosing(self._made):
            await super().__call__(scope, receive, send)

    async def _reported(self) -> AsyncIterator[bytes]:
        async for chunk in self._made:
            if monotonic() - self._reported_at >= REPORT_EVERY:
                await self._report(complete=False)
            if chunk:
                yield chunk
        await self._report(complete=True)

    async def _report(self, complete: bool) -> None:
        """The download goes on also while the user service is away."""
        self._reported_at = monotonic()
        request = pb.ReportDownloadRequest(id=self._id, bytes=self._size.bytes, complete=complete)
        with suppress(grpc.aio.AioRpcError):
            await self._exports.ReportDownload(request, timeout=REPORT_SECONDS)


download = HTTPRouteHandler(DOWNLOAD, http_method=[HttpMethod.GET, HttpMethod.HEAD], status_code=200)(_download)
declare(DOWNLOAD)
endpoints = [request_export, export_status]
