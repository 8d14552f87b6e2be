"""The RPCs of protos/user/v1/moderation.proto: unpack, one call in one transaction, pack."""

import grpc.aio

from protos.user.v1 import moderation_pb2 as pb
from protos.user.v1.moderation_pb2_grpc import ModerationServicer, add_ModerationServicer_to_server
from services.kit.context import require_caller
from services.user.credentials import Login, verify_login
from services.user.moderation import acts, appeals, cases, decisions, messages, reports, reversals
from services.user.moderation.decisions import Decision
from services.user.service import Service
from services.user.sessions import Client


def register_moderation(service: Service, server: grpc.aio.Server) -> None:
    add_ModerationServicer_to_server(Moderation(service), server)


class Moderation(ModerationServicer):
    def __init__(self, service: Service) -> None:
        self._service, self._database, self._new_id = service, service.database, service.new_id

    async def Report(self, request: pb.ReportRequest, context: object) -> pb.ReportResponse:
        told = (messages.subject_of(request.subject), request.reason, request.note)
        async with self._database.transaction() as connection:
            report_id, duplicate = await reports.report(connection, self._new_id, require_caller(), *told)
        return pb.ReportResponse(report_id=report_id, duplicate=duplicate)

    async def ListReports(self, request: pb.ListReportsRequest, context: object) -> pb.ListReportsResponse:
        page = (request.cursor, request.limit)
        async with self._database.reading() as connection:
            rows, cursor = await reports.list_reports(connection, require_caller(), *page)
        return pb.ListReportsResponse(reports=map(messages.own_report, rows), next_cursor=cursor)

    async def ListOwnActs(self, request: pb.ListOwnActsRequest, context: object) -> pb.ListActsResponse:
        page = (request.cursor, request.limit)
        async with self._database.reading() as connection:
            rows, cursor = await acts.list_own(connection, require_caller(), *page)
        return pb.ListActsResponse(acts=map(messages.own_act, rows), next_cursor=cursor)

    async def Appeal(self, request: pb.AppealRequest, context: object) -> pb.AppealResponse:
        caller, asked = require_caller(), (request.act_id, request.text)
        async with self._database.transaction() as connection:
            appeal_id = await appeals.appeal(connection, self._new_id(), caller.user_id, *asked)
        return pb.AppealResponse(appeal_id=appeal_id)

    async def AppealByPassword(self, request: pb.AppealByPasswordRequest, context: object) -> pb.AppealResponse:
        client = Client(request.client.ip, request.client.port, request.client.device)
        login = Login(request.password, request.second_code, client)
        account = await verify_login(self._service, request.email, request.phone, login)
        async with self._database.transaction() as connection:
            appeal_id = await appeals.appeal_shut_out(connection, self._new_id(), account.id, request.text)
        return pb.AppealResponse(appeal_id=appeal_id)

    async def ListAppeals(self, request: pb.ListAppealsRequest, context: object) -> pb.ListAppealsResponse:
        page = (request.decided, request.cursor, request.limit)
        async with self._database.reading() as connection:
            rows, cursor = await appeals.list_appeals(connection, require_caller(), *page)
        return pb.ListAppealsResponse(appeals=[messages.appeal(*row) for row in rows], next_cursor=cursor)

    async def DecideAppeal(self, request: pb.DecideAppealRequest, context: object) -> pb.AppealEntry:
        decision = (request.appeal_id, request.granted, request.answer)
        async with self._database.transaction() as connection:
            row, act = await appeals.decide_appeal(connection, require_caller(), *decision)
        return messages.appeal(row, act)

    async def ListCases(self, request: pb.ListCasesRequest, context: object) -> pb.ListCasesResponse:
        wanted = (request.state, request.kind, request.owner_id, request.cursor, request.limit)
        async with self._database.reading() as connection:
            rows, cursor = await cases.list_cases(connection, require_caller(), *wanted)
        return pb.ListCasesResponse(cases=map(messages.case, rows), next_cursor=cursor)

    async def GetCase(self, request: pb.GetCaseRequest, context: object) -> pb.GetCaseResponse:
        async with self._database.reading() as connection:
            details = await cases.get_case(connection, require_caller(), request.case_id)
        return messages.case_details(details)

    async def ClaimCase(self, request: pb.ClaimCaseRequest, context: object) -> pb.Case:
        async with self._database.transaction() as connection:
            row = await cases.claim_case(connection, self._new_id, require_caller(), request.case_id)
        return messages.case(row)

    async def ReleaseCase(self, request: pb.ReleaseCaseRequest, context: object) -> pb.Case:
        async with self._database.transaction() as connection:
            row = await cases.release_case(connection, self._new_id, require_caller(), request.case_id)
        return messages.case(row)

    async def Decide(self, request: pb.DecideRequest, context: object) -> pb.Act:
        decision = Decision(request.verb, request.note, request.keep_open, request.seconds)
        async with self._database.transaction() as connection:
            row = await decisions.decide(connection, self._new_id, require_caller(), request.case_id, decision)
        return messages.act(row)

    async def Reverse(self, request: pb.ReverseRequest, context: object) -> pb.Act:
        reversal = (request.act_id, request.note)
        async with self._database.transaction() as connection:
            row = await reversals.reverse(connection, require_caller(), *reversal)
        return messages.act(row)

    async def ListActs(self, request: pb.ListActsRequest, context: object) -> pb.ListActsResponse:
        wanted = (request.moderator_id, request.owner_id, request.cursor, request.limit)
        async with self._database.reading() as connection:
            rows, cursor = await acts.list_acts(connection, require_caller(), *wanted)
        return pb.ListActsResponse(acts=map(messages.act, rows), next_cursor=cursor)
