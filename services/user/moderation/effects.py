"""What a decision does to its subject: here for accounts, by events for what the other services hold."""

from typing import Any

from sqlalchemy import exists, select

from protos.user.v1 import moderation_pb2 as pb
from services.kit.sql.connection import AsyncConnection
from services.user.models import Account
from services.user.moderation import acts, events, hidden_profiles, sanctions
from services.user.moderation.models import Act, Case

SANCTIONS = (acts.WARN, acts.SUSPEND, acts.BAN)


def needs_rank(case: Any, verb: str) -> bool:
    """Whether the decision is about the owner more than about what they published."""
    return verb in SANCTIONS or (case.kind == pb.SUBJECT_USER and verb != acts.DISMISS)


async def lock_owner(connection: AsyncConnection, owner_id: int) -> None:
    """Acts on an owner's things take turns, so that their events are in the order of the acts. Lock it before the
    case."""
    await connection.execute(select(Account.id).where(Account.id == owner_id).with_for_update())


async def _apply_here(connection: AsyncConnection, case: Any, act: Any) -> None:
    """The verbs that change the account itself."""
    if act.verb in (acts.SUSPEND, acts.BAN):
        await sanctions.refresh(connection, act.owner_id)
    elif case.kind == pb.SUBJECT_USER and act.verb == acts.HIDE:
        await hidden_profiles.set_hidden(connection, act.owner_id, True)
    elif case.kind == pb.SUBJECT_USER and act.verb == acts.REMOVE:
        await hidden_profiles.reset(connection, act.owner_id)


async def apply(connection: AsyncConnection, case: Any, act: Any) -> None:
    """Call it once the act is written; the owner is locked."""
    match act.verb:
        case acts.HIDE:
            await events.decided(connection, case, act, "hidden")
        case acts.REMOVE:
            await events.decided(connection, case, act, "removed")
    await _apply_here(connection, case, act)
    if act.verb != acts.DISMISS:
        await events.owner_told(connection, case, act, "acted")


async def take_back(connection: AsyncConnection, case: Any, act: Any) -> None:
    """Call it once the act is marked as reversed; the owner is locked."""
    if act.verb == acts.HIDE and not await _is_hidden(connection, case):
        await events.decided(connection, case, act, "restored")
        if case.kind == pb.SUBJECT_USER:
            await hidden_profiles.set_hidden(connection, act.owner_id, False)
    elif act.verb in (acts.SUSPEND, acts.BAN):
        await sanctions.refresh(connection, act.owner_id)
    await events.owner_told(connection, case, act, "reversed")


async def _is_hidden(connection: AsyncConnection, case: Any) -> bool:
    """Whether any act on any case of the subject hides it."""
    same = (Case.kind == case.kind, Case.subject_id == case.subject_id)
    hides = exists().where(Act.case_id == Case.id, Act.verb == acts.HIDE, Act.reversed_at.is_(None))
    return (await connection.execute(select(Case.id).where(*same, hides).limit(1))).one_or_none() is not None
