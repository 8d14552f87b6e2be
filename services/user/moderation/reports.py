"""Reports: what users say of a user, video, comment, message or group, grouped into one open case per subject."""

from typing import Any, NamedTuple

from sqlalchemy import Row, func, select, update
from sqlalchemy.dialects.postgresql import insert

from protos.user.v1.moderation_pb2 import SubjectKind
from services.kit import pages
from services.kit.context import Caller
from services.kit.ids import MAX_ID, IdGenerator
from services.kit.sql.connection import AsyncConnection
from services.user.errors import NotPermitted
from services.user.models import Account
from services.user.moderation.errors import NoteInvalid, ReportInvalid, SelfReport
from services.user.moderation.models import Case, Report

REASONS = (
    "spam", "harassment", "hate", "sexual", "violence", "self_harm", "minors", "illegal", "impersonation", "other",
)  # fmt: skip
MAX_NOTE, MAX_PAGE = 500, 100  # characters, reports
MAX_SNAPSHOT = 8_192  # bytes


class Subject(NamedTuple):
    """What is reported. `snapshot` is JSON of what the reporter saw; `conversation_id` and `seq` are of a message."""

    kind: int
    subject_id: int
    owner_id: int
    conversation_id: int
    seq: int
    snapshot: str


async def report(
    connection: AsyncConnection, new_id: IdGenerator, caller: Caller, subject: Subject, reason: str, note: str
) -> tuple[int, bool]:
    """Returns the report's id, and whether the caller had made it before.

    Raises ReportInvalid, NoteInvalid, SelfReport, NotPermitted for an account that was deleted meanwhile.
    """
    _check(caller, subject, reason, note)
    await _lock_reporter(connection, caller)
    case = await open_case(connection, new_id(), subject)
    values = {"case_id": case.id, "reporter_id": caller.user_id, "reason": reason}
    seen = "" if subject.snapshot == case.snapshot else subject.snapshot
    row = insert(Report).values(id=new_id(), note=note, snapshot=seen, **values).on_conflict_do_nothing()
    made: int | None = (await connection.execute(row.returning(Report.id))).scalar_one_or_none()
    if made is None:
        same = select(Report.id).where(*(getattr(Report, name) == value for name, value in values.items()))
        return (await connection.execute(same)).scalar_one(), True
    counted = update(Case).where(Case.id == case.id)
    await connection.execute(counted.values(report_count=Case.report_count + 1, updated_at=func.now()))
    return made, False


def _check(caller: Caller, subject: Subject, reason: str, note: str) -> None:
    if subject.kind not in SubjectKind.values() or not subject.kind:
        raise ReportInvalid(field="kind")
    if not (0 < subject.subject_id <= MAX_ID and 0 < subject.owner_id <= MAX_ID):
        raise ReportInvalid(field="id")
    if reason not in REASONS:
        raise ReportInvalid(field="reason")
    if len(subject.snapshot.encode()) > MAX_SNAPSHOT or "\0" in subject.snapshot:
        raise ReportInvalid("snapshot")
    if subject.owner_id == caller.user_id:
        raise SelfReport
    check_note(note)


def check_note(note: str) -> None:
    """Raises NoteInvalid."""
    if len(note) > MAX_NOTE or "\0" in note:
        raise NoteInvalid


async def _lock_reporter(connection: AsyncConnection, caller: Caller) -> None:
    """Keeps the account from being erased before its report is committed. Raises NotPermitted."""
    query = select(Account.id).where(Account.id == caller.user_id, Account.deleted_at.is_(None))
    if (await connection.execute(query.with_for_update(read=True))).one_or_none() is None:
        raise NotPermitted


async def open_case(connection: AsyncConnection, case_id: int, subject: Subject) -> Row[Any]:
    """The subject's open case, locked; a new one with this id if there is none."""
    row = insert(Case).values(id=case_id, **subject._asdict())
    locked = row.on_conflict_do_update(
        index_elements=["kind", "subject_id"], index_where=Case.closed_at.is_(None), set_={"updated_at": func.now()}
    )
    case: Row[Any] = (await connection.execute(locked.returning(Case.__table__))).one()
    return case


async def list_reports(connection: AsyncConnection, caller: Caller, cursor: str, limit: int) -> pages.Page:
    """The caller's reports with their cases, the newest first. Raises CursorInvalid."""
    about = (Case.kind, Case.subject_id, Case.owner_id, Case.conversation_id, Case.seq, Case.closed_at)
    query = select(Report.__table__, *about).join(Case, Case.id == Report.case_id)
    query = query.where(Report.reporter_id == caller.user_id, Report.id < pages.id_before(cursor))
    return await pages.fetch(connection, query.order_by(Report.id.desc()), "id", limit=limit, most=MAX_PAGE)
