"""Deletes closed cases with their reports, acts and appeals, once nothing of them stands and nothing is new."""

from datetime import timedelta

from sqlalchemy import and_, delete, exists, func, or_, select

from services.kit.sql.connection import AsyncConnection
from services.user.models import Account
from services.user.moderation import acts
from services.user.moderation.models import Act, Appeal, Case, Report

BATCH = 200  # cases
LASTING = (acts.HIDE, acts.BAN)  # until they are taken back


async def sweep(connection: AsyncConnection, keep: timedelta) -> int:
    """Deletes at most BATCH cases that were closed `keep` ago; returns how many.

    A case is kept while one of its acts still hides something or shuts its owner out, since that can be taken back,
    unless the owner's account was erased; and while an appeal is undecided. An act, a reversal or the decision of an
    appeal keeps it as long again.
    """
    before = func.now() - keep
    of_case = Act.case_id == Case.id
    lives = exists().where(Account.id == Act.owner_id, Account.deleted_at.is_(None))
    stands = and_(Act.reversed_at.is_(None), or_(Act.verb.in_(LASTING), Act.until > before), lives)
    is_new = or_(Act.created_at > before, Act.reversed_at > before)
    appealed = exists().where(Appeal.act_id == Act.id, or_(Appeal.decided_at.is_(None), Appeal.decided_at > before))
    kept = exists().where(of_case, or_(stands, is_new, appealed))
    old = select(Case.id).where(Case.closed_at < before, ~kept).order_by(Case.closed_at).limit(BATCH)
    ids = (await connection.execute(old.with_for_update(skip_locked=True))).scalars().all()
    theirs = select(Act.id).where(Act.case_id.in_(ids))
    await connection.execute(delete(Appeal).where(Appeal.act_id.in_(theirs)))
    for model in (Act, Report):
        await connection.execute(delete(model).where(model.case_id.in_(ids)))
    await connection.execute(delete(Case).where(Case.id.in_(ids)))
    return len(ids)
