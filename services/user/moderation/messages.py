"""Turns rows of moderation into protobuf messages."""

from typing import Any

from protos.user.v1 import moderation_pb2 as pb
from services.user.messages import milliseconds
from services.user.moderation.cases import CaseDetails
from services.user.moderation.reports import Subject


def subject_of(subject: pb.Subject) -> Subject:
    """The subject of a request. Bytes that are no text are replaced: it is shown to moderators only."""
    fields = (subject.kind, subject.subject_id, subject.owner_id, subject.conversation_id, subject.seq)
    return Subject(*fields, subject.snapshot.decode(errors="replace"))


def subject(row: Any, snapshot: str = "") -> pb.Subject:
    return pb.Subject(
        kind=pb.SubjectKind.ValueType(row.kind),
        subject_id=row.subject_id,
        owner_id=row.owner_id,
        conversation_id=row.conversation_id,
        seq=row.seq,
        snapshot=snapshot.encode(),
    )


def report(row: Any) -> pb.Report:
    return pb.Report(
        report_id=row.id,
        case_id=row.case_id,
        reporter_id=row.reporter_id,
        reason=row.reason,
        note=row.note,
        created_at=milliseconds(row.created_at),
        snapshot=row.snapshot.encode(),
    )


def own_report(row: Any) -> pb.Report:
    """With what it is about; without the case, which is the moderators'."""
    message = report(row)
    message.ClearField("case_id")
    message.subject.CopyFrom(subject(row))
    message.closed = row.closed_at is not None
    return message


def case(row: Any) -> pb.Case:
    return pb.Case(
        case_id=row.id,
        subject=subject(row, row.snapshot),
        report_count=row.report_count,
        claimed_by=row.claimed_by or 0,
        claimed_until=milliseconds(row.claimed_until),
        created_at=milliseconds(row.created_at),
        updated_at=milliseconds(row.updated_at),
        closed_at=milliseconds(row.closed_at),
        outcome=row.outcome,
    )


def case_details(details: CaseDetails) -> pb.GetCaseResponse:
    return pb.GetCaseResponse(
        case=case(details.case),
        reports=map(report, details.reports),
        acts=map(act, details.acts),
        owner_acts=map(act, details.owner_acts),
    )


def own_act(row: Any) -> pb.Act:
    """Without who did it."""
    message = act(row)
    for field in ("moderator_id", "reversed_by", "case_id"):
        message.ClearField(field)
    return message


def appeal(appeal: Any, act_row: Any) -> pb.AppealEntry:
    return pb.AppealEntry(
        appeal_id=appeal.id,
        act=act(act_row),
        user_id=appeal.user_id,
        text=appeal.text,
        created_at=milliseconds(appeal.created_at),
        decided_at=milliseconds(appeal.decided_at),
        decided_by=appeal.decided_by or 0,
        granted=appeal.granted,
        answer=appeal.answer,
    )


def act(row: Any) -> pb.Act:
    return pb.Act(
        act_id=row.id,
        case_id=row.case_id,
        verb=row.verb,
        moderator_id=row.moderator_id or 0,
        note=row.note,
        created_at=milliseconds(row.created_at),
        subject=subject(row),
        reversed_at=milliseconds(row.reversed_at),
        reversed_by=row.reversed_by or 0,
        reversal_note=row.reversal_note,
        until=milliseconds(row.until),
    )
