"""Decisions on a case: each is an act, and usually closes the case."""

from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Row

from services.kit.context import Caller
from services.kit.ids import IdGenerator
from services.kit.sql.connection import AsyncConnection
from services.user.moderation import acts, cases, effects, events, sanctions
from services.user.moderation.errors import CaseClosed, DurationInvalid, VerbInvalid
from services.user.moderation.models import Act
from services.user.moderation.reports import check_note
from services.user.profiles import require_admin

MIN_SECONDS, MAX_SECONDS = 60, 366 * 86_400  # of a suspension


class Decision(NamedTuple):
    verb: str
    note: str
    keep_open: bool
    seconds: int = 0  # of a suspension

    @property
    def until(self) -> datetime | None:
        return datetime.now(UTC) + timedelta(seconds=self.seconds) if self.verb == acts.SUSPEND else None


async def decide(
    connection: AsyncConnection, new_id: IdGenerator, caller: Caller, case_id: int, decision: Decision
) -> Row[Any]:
    """The act; the same decision by the same moderator again changes nothing and returns the first.

    Raises NotPermitted, also about one's own things, VerbInvalid, NoteInvalid, DurationInvalid, UserNotFound,
    CaseNotFound, CaseClosed, CaseClaimed.
    """
    moderator = acts.Moderator(caller.user_id, await require_admin(connection, caller))
    return await carry_out(connection, new_id, moderator, case_id, decision)


async def carry_out(
    connection: AsyncConnection, new_id: IdGenerator, moderator: acts.Moderator, case_id: int, decision: Decision
) -> Row[Any]:
    """As `decide`, also for the operator's command line, which overrides a claim."""
    _check(decision)
    found = await cases.find_case(connection, case_id)
    acts.require_not_own(moderator, found.owner_id)
    await effects.lock_owner(connection, found.owner_id)
    await cases.lock_case(connection, case_id)
    if made := await _made_before(connection, moderator, case_id, decision.verb):
        return made
    case = await cases.lock_undecided(connection, moderator.user_id, case_id)
    if effects.needs_rank(case, decision.verb):
        await sanctions.require_subordinate(connection, case.owner_id, moderator.role)
    written = (decision.verb, decision.note, decision.until)
    act = await acts.record(connection, new_id(), case, moderator, *written)
    await effects.apply(connection, case, act)
    if not decision.keep_open:
        await cases.close(connection, case_id, decision.verb)
        await events.case_closed(connection, case, decision.verb)
    return act


def _check(decision: Decision) -> None:
    """Raises VerbInvalid, NoteInvalid, DurationInvalid."""
    check_note(decision.note)
    if decision.verb not in acts.DECISIONS:
        raise VerbInvalid
    if decision.verb == acts.SUSPEND and not MIN_SECONDS <= decision.seconds <= MAX_SECONDS:
        raise DurationInvalid


async def _made_before(
    connection: AsyncConnection, moderator: acts.Moderator, case_id: int, verb: str
) -> Row[Any] | None:
    """Raises CaseClosed if another moderator has decided so."""
    stands = (Act.case_id == case_id, Act.verb == verb, Act.reversed_at.is_(None))
    same = await acts.newest(connection, *stands, limit=1)
    if same and same[0].moderator_id != moderator.user_id:
        raise CaseClosed
    return same[0] if same else None
