"""Decisions on a case: each is an act, and usually closes the case."""

from typing import Any, NamedTuple

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from services.kit.context import Caller
from services.kit.ids import IdGenerator
from services.user.moderation import acts, cases, effects, events
from services.user.moderation.errors import CaseClosed, VerbInvalid
from services.user.moderation.models import Act
from services.user.moderation.reports import check_note
from services.user.profiles import require_admin


class Decision(NamedTuple):
    verb: str
    note: str
    keep_open: bool


async def decide(
    connection: AsyncConnection, new_id: IdGenerator, caller: Caller, case_id: int, decision: Decision
) -> Row[Any]:
    """The act; the same decision by the same moderator again changes nothing and returns the first.

    Raises NotPermitted, VerbInvalid, NoteInvalid, CaseNotFound, CaseClosed, CaseClaimed.
    """
    await require_admin(connection, caller)
    check_note(decision.note)
    if decision.verb not in acts.DECISIONS:
        raise VerbInvalid
    found = await cases.find_case(connection, case_id)
    if decision.verb not in effects.VERBS[found.kind]:
        raise VerbInvalid
    await effects.lock_owner(connection, found.owner_id)
    await cases.lock_case(connection, case_id)
    if made := await _made_before(connection, caller, case_id, decision.verb):
        return made
    case = await cases.lock_undecided(connection, caller, case_id)
    act = await acts.record(connection, new_id(), case, decision.verb, caller.user_id, decision.note)
    await effects.apply(connection, case, act)
    if not decision.keep_open:
        await cases.close(connection, case_id, decision.verb)
        await events.case_closed(connection, case, decision.verb)
    return act


async def _made_before(connection: AsyncConnection, caller: Caller, case_id: int, verb: str) -> Row[Any] | None:
    """Raises CaseClosed if another moderator has decided so."""
    stands = (Act.case_id == case_id, Act.verb == verb, Act.reversed_at.is_(None))
    same = await acts.newest(connection, *stands, limit=1)
    if same and same[0].moderator_id != caller.user_id:
        raise CaseClosed
    return same[0] if same else None
