"""The RPCs of protos/user/v1/exports.proto."""

from typing import Any

from protos.user.v1 import exports_pb2 as pb
from protos.user.v1.exports_pb2_grpc import ExportsServicer
from services.kit.context import require_caller
from services.user.exports import links, preparation
from services.user.messages import milliseconds
from services.user.service import Service


class Exports(ExportsServicer):
    def __init__(self, service: Service) -> None:
        self._service, self._database = service, service.database

    async def RequestExport(self, request: pb.RequestExportRequest, context: object) -> pb.ExportLink:
        row, url = await links.request(self._service, require_caller(), request.password, request.address)
        return _link(row, mailed=not url, url=url)

    async def GetExport(self, request: pb.GetExportRequest, context: object) -> pb.ExportLink:
        async with self._database.reading() as connection:
            row = await links.find(connection, require_caller())
        return _link(row, mailed=bool(row.email)) if row else pb.ExportLink()

    async def OpenExport(self, request: pb.OpenExportRequest, context: object) -> pb.OpenExportResponse:
        async with self._database.transaction() as connection:
            opened = await links.open_link(connection, self._service, request.key)
        return pb.OpenExportResponse(id=opened.id, user_id=opened.user_id, role=opened.role)

    async def ClaimExport(self, request: pb.ClaimExportRequest, context: object) -> pb.ClaimedExport:
        async with self._database.transaction() as connection:
            row = await preparation.claim(connection)
        return pb.ClaimedExport(id=row.id, user_id=row.user_id, role=row.role) if row else pb.ClaimedExport()

    async def ReportExport(self, request: pb.ReportExportRequest, context: object) -> pb.ReportExportResponse:
        async with self._database.transaction() as connection:
            wanted = await preparation.report(connection, request.id, request.done, request.total)
        return pb.ReportExportResponse(wanted=wanted)

    async def FinishExport(self, request: pb.FinishExportRequest, context: object) -> pb.FinishExportResponse:
        size = {"rows": request.size.rows, "files": request.size.files, "bytes": request.size.bytes}
        await preparation.finish(self._service, request.id, **size)
        return pb.FinishExportResponse()

    async def ReportDownload(self, request: pb.ReportDownloadRequest, context: object) -> pb.ReportDownloadResponse:
        async with self._database.transaction() as connection:
            await preparation.report_download(connection, request.id, request.bytes, request.complete)
        return pb.ReportDownloadResponse()


def _link(row: Any, mailed: bool, url: str = "") -> pb.ExportLink:
    return pb.ExportLink(
        requested_at=milliseconds(row.requested_at),
        expires_at=milliseconds(row.expires_at),
        mailed=mailed,
        link=url,
        ready=row.ready_at is not None,
        done=row.done,
        total=row.total,
        size=pb.ExportSize(rows=row.rows, files=row.files, bytes=row.bytes),
        downloaded_bytes=row.downloaded_bytes,
        downloaded_at=milliseconds(row.downloaded_at),
    )
