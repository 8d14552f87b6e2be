"""Taking decisions back. The act keeps its row, with who took it back, when and why."""

from typing import Any

from sqlalchemy import Row, func, select, update

from services.kit.context import Caller
from services.kit.sql.connection import AsyncConnection
from services.user.audit import entries
from services.user.moderation import acts, cases, effects
from services.user.moderation.errors import ActIrreversible, ActNotFound
from services.user.moderation.models import Act
from services.user.moderation.reports import check_note
from services.user.profiles import require_admin


async def reverse(connection: AsyncConnection, caller: Caller, act_id: int, note: str) -> Row[Any]:
    """The act; one that was reversed before stays as it is.

    Raises NotPermitted, also about one's own things, NoteInvalid, ActNotFound, ActIrreversible.
    """
    moderator = acts.Moderator(caller.user_id, await require_admin(connection, caller))
    return await take_back(connection, act_id, moderator, note)


async def take_back(connection: AsyncConnection, act_id: int, moderator: acts.Moderator, note: str) -> Row[Any]:
    """As `reverse`, also for the operator's command line."""
    check_note(note)
    owner = (await connection.execute(select(Act.owner_id).where(Act.id == act_id))).one_or_none()
    if owner is None:
        raise ActNotFound
    acts.require_not_own(moderator, owner.owner_id)
    await effects.lock_owner(connection, owner.owner_id)
    act = await acts.lock_act(connection, act_id)
    if act.reversed_at is not None:
        return act
    if act.verb not in acts.REVERSIBLE:
        raise ActIrreversible
    values = {"reversed_at": func.now(), "reversed_by": moderator.user_id, "reversal_note": note}
    await connection.execute(update(Act).where(Act.id == act_id).values(values))
    await effects.take_back(connection, await cases.find_case(connection, act.case_id), act)
    details = {"act_id": str(act_id), "case_id": str(act.case_id), "owner_id": str(act.owner_id)}
    entry = entries.Act(f"moderation.reverse.{act.verb}", acts.KINDS[act.kind], act.subject_id, note, details)
    await acts.write_down(connection, moderator, entry)
    return await acts.lock_act(connection, act_id)
