"""api/user/export*: a link to all that hitok holds of a user, and the archive behind it."""

from contextlib import aclosing
from typing import Any

from litestar import Request
from litestar.enums import HttpMethod
from litestar.handlers import HTTPRouteHandler
from litestar.response.base import ASGIResponse
from msgspec import Struct

from gateway.api.shortvideo.users import OURS
from gateway.api.timeouts import HASHING_TIMEOUT
from gateway.container import Call, Container
from gateway.files.archive import archive
from gateway.files.responses import ChunkedResponse, HeadersResponse
from gateway.files.urls import absolute
from gateway.http.client_info import ClientInfo
from gateway.http.endpoint import NoParams, endpoint
from gateway.http.envelopes import SHORT_VIDEO
from gateway.http.params import Text
from gateway.http.rate_limits import RateLimit, declare, per_minute
from protos.user.v1 import exports_pb2 as pb
from services.client_json.times import rfc3339
from services.kit.context import Caller, current_caller, current_deadline, network_of
from services.kit.errors import Unavailable

DOWNLOAD = "/api/user/export/download"
PER_USER = RateLimit(6, 3_600, 6)
BUSY_SECONDS = 30.0  # after which to try again
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
    """`status` is `ready` while there is a link, else `none`. `url` is "" if the link was mailed. Times in RFC 3339."""

    status: str
    requested_at: str
    expires_at: str
    mailed: bool
    url: str


def _view(link: pb.ExportLink) -> ExportView:
    if not link.requested_at:
        return ExportView("none", "", "", mailed=False, url="")
    return ExportView("ready", rfc3339(link.requested_at), rfc3339(link.expires_at), link.mailed, link.link)


@endpoint("POST", "/api/user/export", family=SHORT_VIDEO, limit=per_minute(4))
async def request_export(call: Call, params: RequestExport) -> ExportView:
    """Mail a link, good for a day, to an archive of all that is one's own; without an email the answer has it."""
    request = pb.RequestExportRequest(password=params.password, address=absolute(call, DOWNLOAD))
    return _view(await call.container.exports.RequestExport(request, timeout=HASHING_TIMEOUT))


@endpoint("GET", "/api/user/export-status", family=SHORT_VIDEO, limit=OURS)
async def export_status(call: Call, params: NoParams) -> ExportView:
    """Whether there is a link that is still good, and until when."""
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
    return _ArchiveResponse(container)


class _ArchiveResponse(ChunkedResponse):
    """Ends the making of the archive with its download, also when the client leaves."""

    __slots__ = ("_made", "_turns")

    def __init__(self, container: Container) -> None:
        self._made, self._turns = archive(container), container.archives
        super().__init__((chunk async for chunk in self._made if chunk), 200, HEADERS)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        current_deadline.set(None)  # it lasts as long as its download
        async with self._turns, aclosing(self._made):
            await super().__call__(scope, receive, send)


download = HTTPRouteHandler(DOWNLOAD, http_method=[HttpMethod.GET, HttpMethod.HEAD], status_code=200)(_download)
declare(DOWNLOAD)
endpoints = [request_export, export_status]
