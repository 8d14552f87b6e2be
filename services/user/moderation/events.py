"""The events of moderation: `events.user.moderation.<verb>`, aggregate `moderation:<kind>:<subject>`."""

from typing import Any

from sqlalchemy import select

from services.kit.events.outbox import emit
from services.kit.sql.connection import AsyncConnection
from services.user.messages import milliseconds
from services.user.moderation.acts import DISMISS, KINDS
from services.user.moderation.models import Report

CHUNK = 500  # reporters named by one event


async def case_closed(connection: AsyncConnection, case: Any, outcome: str) -> None:
    """For the reporters, who hear whether something was done, but not what was done to whom."""
    query = select(Report.reporter_id).where(Report.case_id == case.id).distinct().order_by(Report.reporter_id)
    reporters = [str(id) for id in (await connection.execute(query)).scalars()]
    for start in range(0, len(reporters), CHUNK):
        told = {
            "outcome": "dismissed" if outcome == DISMISS else "acted",
            "reporter_ids": reporters[start : start + CHUNK],
        }
        await _emit(connection, "closed", case, **told)


async def decided(connection: AsyncConnection, case: Any, act: Any, verb: str) -> None:
    """`verb`: hidden, restored, removed. For the services that hold the subject."""
    await _emit(connection, verb, case, act_id=str(act.id))


async def owner_told(connection: AsyncConnection, case: Any, act: Any, verb: str) -> None:
    """`verb`: acted, or reversed. The owner hears of every act but a dismissal, and why."""
    told = {"act_id": str(act.id), "act": act.verb, "until": milliseconds(act.until)}
    await _emit(connection, verb, case, **told, note=act.note)


async def appeal_decided(connection: AsyncConnection, case: Any, act_id: int, granted: bool, answer: str) -> None:
    """For the owner, who appealed."""
    await _emit(connection, "appealed", case, act_id=str(act_id), granted=granted, answer=answer)


async def _emit(connection: AsyncConnection, verb: str, case: Any, **data: Any) -> None:
    """`user_id` is the owner of the subject."""
    kind = KINDS[case.kind]
    subject = {"kind": kind, "subject_id": str(case.subject_id), "user_id": str(case.owner_id)}
    if kind == "message":
        subject |= {"conversation_id": str(case.conversation_id), "seq": str(case.seq)}
    about = f"moderation:{kind}:{case.subject_id}"
    await emit(connection, f"user.moderation.{verb}", about, case_id=str(case.id), **subject, **data)
