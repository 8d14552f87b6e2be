"""Acts of moderators: who did what, when and why. Each is also in the audit of everything."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Row, Select, insert, select

from services.kit import pages
from services.kit.context import Caller
from services.kit.sql.connection import AsyncConnection
from services.user.audit import entries
from services.user.errors import NotPermitted
from services.user.moderation.errors import ActNotFound
from services.user.moderation.models import Act, Case
from services.user.profiles import require_admin

KINDS = ("", "user", "video", "comment", "message", "group")  # by SubjectKind
DISMISS, HIDE, REMOVE, WARN, SUSPEND, BAN = DECISIONS = ("dismiss", "hide", "remove", "warn", "suspend", "ban")
REVERSIBLE = (HIDE, WARN, SUSPEND, BAN)
OWNERS = (HIDE, REMOVE, WARN, SUSPEND, BAN)  # those of which the owner hears, and may appeal
MAX_PAGE = 100  # acts


class Moderator(NamedTuple):
    """The author of an act: a user with their role, or an operator on the command line with their name there."""

    user_id: int | None
    role: int
    operator: str = ""


def require_not_own(moderator: Moderator, owner_id: int) -> None:
    """Raises NotPermitted: nobody decides about themselves."""
    if moderator.user_id == owner_id:
        raise NotPermitted


async def write_down(connection: AsyncConnection, moderator: Moderator, entry: entries.Act) -> None:
    """In the audit."""
    await entries.append(connection, entry, actor_id=moderator.user_id or 0, operator=moderator.operator)


async def record(
    connection: AsyncConnection,
    act_id: int,
    case: Any,
    moderator: Moderator,
    verb: str,
    note: str = "",
    until: datetime | None = None,
) -> Row[Any]:
    """Writes an act on a locked case; returns it as `select_acts` does."""
    values = {
        "case_id": case.id,
        "verb": verb,
        "moderator_id": moderator.user_id,
        "owner_id": case.owner_id,
        "note": note,
    }
    values["until"] = until
    await connection.execute(insert(Act).values(id=act_id, **values))
    details = {"act_id": str(act_id), "case_id": str(case.id), "owner_id": str(case.owner_id)}
    details |= {"until": until.isoformat()} if until else {}
    entry = entries.Act(f"moderation.{verb}", KINDS[case.kind], case.subject_id, note, details)
    await write_down(connection, moderator, entry)
    return (await newest(connection, Act.id == act_id, limit=1))[0]


async def lock_act(connection: AsyncConnection, act_id: int) -> Row[Any]:
    """Raises ActNotFound, also for a claim or a release."""
    query = select_acts(Act.id == act_id, Act.verb.in_(DECISIONS)).with_for_update(of=Act)
    act: Row[Any] | None = (await connection.execute(query)).one_or_none()
    if act is None:
        raise ActNotFound
    return act


async def newest(connection: AsyncConnection, *which: ColumnElement[bool], limit: int) -> Sequence[Row[Any]]:
    rows: Sequence[Row[Any]] = (
        await connection.execute(select_acts(*which).order_by(Act.id.desc()).limit(limit))
    ).all()
    return rows


def select_acts(*which: ColumnElement[bool]) -> Select[Any]:
    """Acts with the subjects of their cases."""
    subject = (Case.kind, Case.subject_id, Case.conversation_id, Case.seq)
    return select(Act.__table__, *subject).join(Case, Case.id == Act.case_id).where(*which)


async def list_own(connection: AsyncConnection, caller: Caller, cursor: str, limit: int) -> pages.Page:
    """Lists decisions about the caller and their content, newest first, without dismissals. Raises CursorInvalid."""
    mine = (Act.owner_id == caller.user_id, Act.verb.in_(OWNERS), Act.id < pages.id_before(cursor))
    return await pages.fetch(connection, select_acts(*mine).order_by(Act.id.desc()), "id", limit=limit, most=MAX_PAGE)


async def list_acts(
    connection: AsyncConnection, caller: Caller, moderator_id: int, owner_id: int, cursor: str, limit: int
) -> pages.Page:
    """The newest first; `moderator_id` and `owner_id` 0: all. Raises NotPermitted, CursorInvalid."""
    await require_admin(connection, caller)
    which: list[ColumnElement[bool]] = [Act.id < pages.id_before(cursor)]
    which += [Act.moderator_id == moderator_id] if moderator_id else []
    which += [Act.owner_id == owner_id] if owner_id else []
    return await pages.fetch(connection, select_acts(*which).order_by(Act.id.desc()), "id", limit=limit, most=MAX_PAGE)
