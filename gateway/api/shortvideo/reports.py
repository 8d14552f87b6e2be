"""api/report/*: report a user, video, comment, message or group, and hear what became of it (docs/moderation.md)."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from gateway.api.shortvideo.report_subjects import NAMES, KindName, ReportedThing, find_subject
from gateway.container import Call
from gateway.http.endpoint import endpoint
from gateway.http.envelopes import SHORT_VIDEO
from gateway.http.limits.rate_limits import per_minute
from gateway.http.params import PageSize
from protos.user.v1 import moderation_pb2 as pb
from services.client_json.times import rfc3339

REPORTS = per_minute(10, 20)

Reason = Literal[
    "spam", "harassment", "hate", "sexual", "violence", "self_harm", "minors", "illegal", "impersonation", "other"
]
Note = Annotated[str, Meta(max_length=500)]


class CreateReport(ReportedThing, kw_only=True):
    """The subject, the reason, and a note in the reporter's words."""

    reason: Reason
    note: Note = ""


class Reported(Struct):
    """`duplicate`: the caller had reported it for that reason before."""

    report_id: str
    duplicate: bool


class OwnReport(Struct):
    """`state` is `open` or `closed`. `conversation_id` and `seq` are those of a message."""

    report_id: str
    kind: KindName
    id: str
    conversation_id: str
    seq: int
    reason: str
    note: str
    state: Literal["open", "closed"]
    created_at: str


class OwnReportPage(Struct):
    reports: list[OwnReport]
    next_cursor: str


class ListOwnReports(Struct):
    cursor: str = ""
    limit: PageSize = 20


@endpoint("POST", "/api/report/create-report", family=SHORT_VIDEO, limit=REPORTS)
async def create_report(call: Call, params: CreateReport) -> Reported:
    """Report a user, video, comment, message or group that the caller sees; the same report twice is one."""
    subject = await find_subject(call, params)
    request = pb.ReportRequest(subject=subject, reason=params.reason, note=params.note)
    made = await call.container.moderation.Report(request)
    return Reported(str(made.report_id), made.duplicate)


@endpoint("GET", "/api/report/my-reports", family=SHORT_VIDEO, limit=REPORTS)
async def list_own_reports(call: Call, params: ListOwnReports) -> OwnReportPage:
    """The caller's reports, the newest first."""
    request = pb.ListReportsRequest(cursor=params.cursor, limit=params.limit)
    page = await call.container.moderation.ListReports(request)
    return OwnReportPage([_own_report(report) for report in page.reports], page.next_cursor)


def _own_report(report: pb.Report) -> OwnReport:
    return OwnReport(
        report_id=str(report.report_id),
        kind=NAMES[report.subject.kind],
        id=str(report.subject.subject_id),
        conversation_id=str(report.subject.conversation_id),
        seq=report.subject.seq,
        reason=report.reason,
        note=report.note,
        state="closed" if report.closed else "open",
        created_at=rfc3339(report.created_at),
    )


endpoints = [create_report, list_own_reports]
