"""Appeals: the owner of what was acted on asks another moderator to look again, once for each act."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, func, select, update
from sqlalchemy.dialects.postgresql import insert

from services.kit import pages
from services.kit.context import Caller
from services.kit.roles import SUPER_ADMIN
from services.kit.sql.connection import AsyncConnection
from services.user.audit import entries
from services.user.errors import NotPermitted
from services.user.moderation import acts, cases, effects, events, reversals
from services.user.moderation.errors import ActNotFound, AppealDecided, AppealInvalid, AppealMade, AppealNotFound
from services.user.moderation.models import Act, Appeal
from services.user.moderation.reports import check_note
from services.user.profiles import require_admin

MAX_TEXT, MAX_PAGE = 1_000, 100  # characters, appeals

AppealAndAct = tuple[Row[Any], Row[Any]]


async def appeal(connection: AsyncConnection, appeal_id: int, user_id: int, act_id: int, text: str) -> int:
    """Returns the appeal's id; the same text again is the same appeal.

    Raises AppealInvalid, ActNotFound for an act that is not about the user, AppealMade.
    """
    _check(text)
    mine = (Act.id == act_id, Act.owner_id == user_id, Act.verb.in_(acts.OWNERS))
    if (await connection.execute(select(Act.id).where(*mine))).one_or_none() is None:
        raise ActNotFound
    row = insert(Appeal).values(id=appeal_id, act_id=act_id, user_id=user_id, words=text)
    made: int | None = (
        await connection.execute(row.on_conflict_do_nothing().returning(Appeal.id))
    ).scalar_one_or_none()
    if made is not None:
        return made
    before = (await connection.execute(select(Appeal.__table__).where(Appeal.act_id == act_id))).one()
    if before.text != text:
        raise AppealMade
    return int(before.id)


async def appeal_shut_out(connection: AsyncConnection, appeal_id: int, user_id: int, text: str) -> int:
    """An appeal against the last act that stands and shuts the user out.

    Raises AppealInvalid, AppealNotFound if none does, AppealMade.
    """
    standing = (Act.owner_id == user_id, Act.reversed_at.is_(None), Act.verb.in_((acts.SUSPEND, acts.BAN)))
    found = await acts.newest(connection, *standing, limit=1)
    if not found:
        raise AppealNotFound
    return await appeal(connection, appeal_id, user_id, found[0].id, text)


def _check(text: str) -> None:
    if not text.strip() or len(text) > MAX_TEXT or "\0" in text:
        raise AppealInvalid


async def list_appeals(
    connection: AsyncConnection, caller: Caller, decided: bool, cursor: str, limit: int
) -> tuple[Sequence[AppealAndAct], str]:
    """With their acts; undecided ones oldest first, decided ones newest first. Raises NotPermitted, CursorInvalid."""
    await require_admin(connection, caller)
    query = select(Appeal.__table__)
    if decided:
        query = query.where(Appeal.decided_at.is_not(None), Appeal.id < pages.id_before(cursor))
        query = query.order_by(Appeal.id.desc())
    else:
        query = query.where(Appeal.decided_at.is_(None), Appeal.id > pages.id_after(cursor)).order_by(Appeal.id)
    rows, following = await pages.fetch(connection, query, "id", limit=limit, most=MAX_PAGE)
    found = await acts.newest(connection, Act.id.in_([row.act_id for row in rows]), limit=MAX_PAGE)
    by_id = {act.id: act for act in found}
    return [(row, by_id[row.act_id]) for row in rows], following


async def decide_appeal(
    connection: AsyncConnection, caller: Caller, appeal_id: int, granted: bool, answer: str
) -> AppealAndAct:
    """The same decision again changes nothing.

    Raises NotPermitted (also for the moderator of the act, unless they are a super admin), NoteInvalid, AppealNotFound,
    AppealDecided.
    """
    role = await require_admin(connection, caller)
    check_note(answer)
    act = await _lock_act(connection, appeal_id)
    found: Row[Any] = (await connection.execute(select(Appeal.__table__).where(Appeal.id == appeal_id))).one()
    if found.decided_at is not None:
        if found.granted != granted:
            raise AppealDecided
        return found, act
    moderator = acts.Moderator(caller.user_id, role)
    acts.require_not_own(moderator, act.owner_id)
    if act.moderator_id == caller.user_id and role < SUPER_ADMIN:
        raise NotPermitted
    values = {"decided_at": func.now(), "decided_by": caller.user_id, "granted": granted, "answer": answer}
    change = update(Appeal).where(Appeal.id == appeal_id).values(values).returning(Appeal.__table__)
    decided: Row[Any] = (await connection.execute(change)).one()
    await _write_down(connection, caller, decided, act)
    if granted and act.verb in acts.REVERSIBLE:
        act = await reversals.take_back(connection, act.id, moderator, answer)
    return decided, act


async def _lock_act(connection: AsyncConnection, appeal_id: int) -> Row[Any]:
    """The act of the appeal, whose lock is the appeal's, too. Raises AppealNotFound."""
    asked = select(Act.id, Act.owner_id).join(Appeal, Appeal.act_id == Act.id).where(Appeal.id == appeal_id)
    known = (await connection.execute(asked)).one_or_none()
    if known is None:
        raise AppealNotFound
    await effects.lock_owner(connection, known.owner_id)
    return await acts.lock_act(connection, known.id)


async def _write_down(connection: AsyncConnection, caller: Caller, decided: Any, act: Any) -> None:
    details = {"act_id": str(act.id), "appeal_id": str(decided.id), "owner_id": str(act.owner_id)}
    verb = "moderation.appeal.grant" if decided.granted else "moderation.appeal.refuse"
    entry = entries.Act(verb, acts.KINDS[act.kind], act.subject_id, decided.answer, details)
    await entries.append(connection, entry, actor_id=caller.user_id)
    case = await cases.find_case(connection, act.case_id)
    await events.appeal_decided(connection, case, act.id, decided.granted, decided.answer)
