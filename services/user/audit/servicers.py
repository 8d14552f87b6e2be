"""The RPCs of protos/user/v1/audit.proto."""

from protos.user.v1 import audit_pb2 as pb
from protos.user.v1.audit_pb2_grpc import AuditServicer
from services.kit.context import current_caller, require_caller
from services.user import messages
from services.user.audit import entries
from services.user.profiles import require_admin
from services.user.service import Service


class Audit(AuditServicer):
    def __init__(self, service: Service) -> None:
        self._database = service.database

    async def AppendAudit(self, request: pb.AppendAuditRequest, context: object) -> pb.AppendAuditResponse:
        details = entries.parse_details(request.details)
        act = entries.Act(request.act, request.target_kind, request.target_id, request.reason, details)
        async with self._database.transaction() as connection:
            await entries.append(connection, act, actor_id=current_caller.get().user_id, key=request.key)
        return pb.AppendAuditResponse()

    async def ListAudit(self, request: pb.ListAuditRequest, context: object) -> pb.ListAuditResponse:
        wanted = entries.Filter(request.act, request.target_kind, request.target_id, request.actor_id)
        async with self._database.reading() as connection:
            await require_admin(connection, require_caller())
            rows, cursor = await entries.list_entries(connection, wanted, request.cursor, request.limit)
        return pb.ListAuditResponse(entries=map(messages.audit_entry, rows), next_cursor=cursor)
