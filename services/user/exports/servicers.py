"""The RPCs of protos/user/v1/exports.proto."""

from protos.user.v1 import exports_pb2 as pb
from protos.user.v1.exports_pb2_grpc import ExportsServicer
from services.kit.context import require_caller
from services.user.exports import links
from services.user.exports.links import Link
from services.user.messages import milliseconds
from services.user.service import Service


class Exports(ExportsServicer):
    def __init__(self, service: Service) -> None:
        self._service, self._database = service, service.database

    async def RequestExport(self, request: pb.RequestExportRequest, context: object) -> pb.ExportLink:
        return _link(await links.request(self._service, require_caller(), request.password, request.address))

    async def GetExport(self, request: pb.GetExportRequest, context: object) -> pb.ExportLink:
        async with self._database.transaction() as connection:
            link = await links.find(connection, require_caller())
        return _link(link) if link else pb.ExportLink()

    async def OpenExport(self, request: pb.OpenExportRequest, context: object) -> pb.OpenExportResponse:
        async with self._database.transaction() as connection:
            account = await links.open_link(connection, self._service, request.key)
        return pb.OpenExportResponse(user_id=account.id, role=account.role)


def _link(link: Link) -> pb.ExportLink:
    times = {"requested_at": milliseconds(link.requested_at), "expires_at": milliseconds(link.expires_at)}
    return pb.ExportLink(**times, mailed=link.mailed, link=link.url)
