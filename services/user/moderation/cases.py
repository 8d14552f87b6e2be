"""Cases: the moderators' queue. A moderator claims a case, so that no two work on the same one."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Row, and_, func, or_, select, update

from protos.user.v1.moderation_pb2 import CASES_CLOSED, CASES_MINE, CASES_UNCLAIMED
from services.kit import pages
from services.kit.context import Caller
from services.kit.ids import IdGenerator
from services.kit.sql.connection import AsyncConnection
from services.user.moderation import acts
from services.user.moderation.errors import CaseClaimed, CaseClosed, CaseNotFound
from services.user.moderation.models import Act, Case, Report
from services.user.profiles import require_admin

CLAIM = timedelta(hours=1)
MAX_PAGE = 100  # cases
MAX_REPORTS, MAX_OWNER_ACTS = 100, 20  # shown with a case

is_claimed = and_(Case.claimed_by.is_not(None), Case.claimed_until > func.now())


class CaseDetails(NamedTuple):
    case: Row[Any]
    reports: Sequence[Row[Any]]
    acts: Sequence[Row[Any]]
    owner_acts: Sequence[Row[Any]]


async def list_cases(
    connection: AsyncConnection, caller: Caller, state: int, kind: int, owner_id: int, cursor: str, limit: int
) -> pages.Page:
    """`state` is a CaseState; `kind` and `owner_id` 0: all. Raises NotPermitted, CursorInvalid."""
    await require_admin(connection, caller)
    query = select(Case.__table__).where(*_matching(caller, state, kind, owner_id))
    if state == CASES_CLOSED:
        query = query.where(Case.id < pages.id_before(cursor)).order_by(Case.id.desc())
    else:
        query = query.where(Case.id > pages.id_after(cursor)).order_by(Case.id)
    return await pages.fetch(connection, query, "id", limit=limit, most=MAX_PAGE)


def _matching(caller: Caller, state: int, kind: int, owner_id: int) -> list[ColumnElement[bool]]:
    is_closed = Case.closed_at.is_not(None)
    which: list[ColumnElement[bool]] = [is_closed if state == CASES_CLOSED else Case.closed_at.is_(None)]
    if state == CASES_UNCLAIMED:
        which.append(or_(Case.claimed_by.is_(None), Case.claimed_until <= func.now()))
    elif state == CASES_MINE:
        which += [is_claimed, Case.claimed_by == caller.user_id]
    which += [Case.kind == kind] if kind else []
    which += [Case.owner_id == owner_id] if owner_id else []
    return which


async def get_case(connection: AsyncConnection, caller: Caller, case_id: int) -> CaseDetails:
    """Raises NotPermitted, CaseNotFound."""
    await require_admin(connection, caller)
    case = await find_case(connection, case_id)
    reports = select(Report.__table__).where(Report.case_id == case_id).order_by(Report.id.desc())
    found = (await connection.execute(reports.limit(MAX_REPORTS))).all()
    own = await acts.newest(connection, Act.case_id == case_id, limit=MAX_REPORTS)
    others = (Act.owner_id == case.owner_id, Act.case_id != case_id, Act.verb.in_(acts.DECISIONS))
    return CaseDetails(case, found, own, await acts.newest(connection, *others, limit=MAX_OWNER_ACTS))


async def oldest_open(connection: AsyncConnection, limit: int) -> Sequence[Row[Any]]:
    query = select(Case.__table__).where(Case.closed_at.is_(None)).order_by(Case.id).limit(limit)
    return (await connection.execute(query)).all()


async def find_case(connection: AsyncConnection, case_id: int) -> Row[Any]:
    """Raises CaseNotFound."""
    case = (await connection.execute(select(Case.__table__).where(Case.id == case_id))).one_or_none()
    if case is None:
        raise CaseNotFound
    return case


async def claim_case(connection: AsyncConnection, new_id: IdGenerator, caller: Caller, case_id: int) -> Row[Any]:
    """Raises NotPermitted, CaseNotFound, CaseClosed, CaseClaimed."""
    moderator = acts.Moderator(caller.user_id, await require_admin(connection, caller))
    case = await lock_undecided(connection, caller.user_id, case_id)
    if case.claimed_by != caller.user_id:
        await acts.record(connection, new_id(), case, moderator, "claim")
    return await _change(connection, case_id, claimed_by=caller.user_id, claimed_until=datetime.now(UTC) + CLAIM)


async def release_case(connection: AsyncConnection, new_id: IdGenerator, caller: Caller, case_id: int) -> Row[Any]:
    """Raises NotPermitted, CaseNotFound, CaseClosed, CaseClaimed if another moderator has it."""
    moderator = acts.Moderator(caller.user_id, await require_admin(connection, caller))
    case = await lock_undecided(connection, caller.user_id, case_id)
    if case.claimed_by is None:
        return case
    await acts.record(connection, new_id(), case, moderator, "release")
    return await _change(connection, case_id, claimed_by=None, claimed_until=None)


async def lock_case(connection: AsyncConnection, case_id: int) -> Row[Any]:
    """Raises CaseNotFound."""
    query = select(Case.__table__).where(Case.id == case_id).with_for_update()
    case = (await connection.execute(query)).one_or_none()
    if case is None:
        raise CaseNotFound
    return case


async def lock_undecided(connection: AsyncConnection, user_id: int | None, case_id: int) -> Row[Any]:
    """A case that the user may decide, locked; None: an operator, whom no claim stops.

    Raises CaseNotFound, CaseClosed, CaseClaimed.
    """
    case = await lock_case(connection, case_id)
    if case.closed_at is not None:
        raise CaseClosed
    is_free = user_id is None or case.claimed_by in (None, user_id) or case.claimed_until <= datetime.now(UTC)
    if not is_free:
        raise CaseClaimed
    return case


async def close(connection: AsyncConnection, case_id: int, outcome: str) -> None:
    """Closes a locked case."""
    await _change(connection, case_id, closed_at=func.now(), outcome=outcome, claimed_until=None)


async def _change(connection: AsyncConnection, case_id: int, **values: Any) -> Row[Any]:
    changed = update(Case).where(Case.id == case_id).values(values).returning(Case.__table__)
    case: Row[Any] = (await connection.execute(changed)).one()
    return case
