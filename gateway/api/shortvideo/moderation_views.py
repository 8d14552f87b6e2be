"""JSON of cases, reports and acts, for moderators. Times are RFC 3339, "" for never."""

from typing import Literal

from msgspec import Raw, Struct

from gateway.api.shortvideo.report_subjects import NAMES, KindName
from protos.user.v1 import moderation_pb2 as pb
from services.client_json.times import rfc3339


class SubjectView(Struct):
    """The subject of a case; for a message also `conversation_id` and `seq`, else "" and 0."""

    kind: KindName
    id: str
    owner_id: str
    conversation_id: str
    seq: int


class CaseView(Struct):
    """`snapshot`: what the first reporter saw; `outcome`: the decision that closed it, else ""."""

    case_id: str
    subject: SubjectView
    snapshot: Raw
    state: Literal["open", "claimed", "closed"]
    report_count: int
    claimed_by: str
    claimed_until: str
    created_at: str
    updated_at: str
    closed_at: str
    outcome: str


class ReportView(Struct):
    """`snapshot`: what this reporter saw, null if it was the same as the case's."""

    report_id: str
    reporter_id: str
    reason: str
    note: str
    snapshot: Raw
    created_at: str


class ActView(Struct):
    """`moderator_id` is "" if the operator's command line did it. `reversed_at` is "" while the decision stands.

    For its owner, `moderator_id`, `case_id` and `reversed_by` are "".
    """

    act_id: str
    case_id: str
    verb: str
    moderator_id: str
    note: str
    created_at: str
    subject: SubjectView
    reversed_at: str
    reversed_by: str
    reversal_note: str
    until: str


class CaseDetails(Struct):
    """`acts` on this case; `owner_acts`: decisions on other cases of the same owner. All newest first."""

    case: CaseView
    reports: list[ReportView]
    acts: list[ActView]
    owner_acts: list[ActView]


class CasePage(Struct):
    cases: list[CaseView]
    next_cursor: str


class ActPage(Struct):
    acts: list[ActView]
    next_cursor: str


def time_view(milliseconds: int) -> str:
    return rfc3339(milliseconds) if milliseconds else ""


def subject_view(subject: pb.Subject) -> SubjectView:
    conversation_id = str(subject.conversation_id or "")
    return SubjectView(
        NAMES[subject.kind], str(subject.subject_id), str(subject.owner_id or ""), conversation_id, subject.seq
    )


def case_view(case: pb.Case, now: int) -> CaseView:
    """`now` in Unix milliseconds: a claim that has lapsed is not shown."""
    claimed = bool(case.claimed_by) and case.claimed_until > now
    return CaseView(
        case_id=str(case.case_id),
        subject=subject_view(case.subject),
        snapshot=Raw(case.subject.snapshot or b"{}"),
        state="closed" if case.closed_at else "claimed" if claimed else "open",
        report_count=case.report_count,
        claimed_by=str(case.claimed_by) if claimed else "",
        claimed_until=time_view(case.claimed_until) if claimed else "",
        created_at=rfc3339(case.created_at),
        updated_at=rfc3339(case.updated_at),
        closed_at=time_view(case.closed_at),
        outcome=case.outcome,
    )


def report_view(report: pb.Report) -> ReportView:
    return ReportView(
        report_id=str(report.report_id),
        reporter_id=str(report.reporter_id),
        reason=report.reason,
        note=report.note,
        snapshot=Raw(report.snapshot or b"null"),
        created_at=rfc3339(report.created_at),
    )


def act_view(act: pb.Act) -> ActView:
    return ActView(
        act_id=str(act.act_id),
        case_id=str(act.case_id or ""),
        verb=act.verb,
        moderator_id=str(act.moderator_id or ""),
        note=act.note,
        created_at=rfc3339(act.created_at),
        subject=subject_view(act.subject),
        reversed_at=time_view(act.reversed_at),
        reversed_by=str(act.reversed_by or ""),
        reversal_note=act.reversal_note,
        until=time_view(act.until),
    )


def case_details(details: pb.GetCaseResponse, now: int) -> CaseDetails:
    return CaseDetails(
        case=case_view(details.case, now),
        reports=list(map(report_view, details.reports)),
        acts=list(map(act_view, details.acts)),
        owner_acts=list(map(act_view, details.owner_acts)),
    )
