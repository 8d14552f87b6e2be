"""The audit: what operators, admins and moderators did, to whom, when and why. It is only added to, until it is old."""

from datetime import timedelta
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert

from services.kit import pages
from services.kit.sql.connection import AsyncConnection
from services.user.errors import AuditInvalid
from services.user.models import AuditEntry

MAX_NAME, MAX_TEXT = 100, 4_000  # characters
MAX_PAGE = 100  # entries
BATCH = 1_000  # entries deleted at a time


class Act(NamedTuple):
    """An entry of the audit: the act, its subject, and further `details`, which name users by their ids only."""

    act: str
    target_kind: str
    target_id: int
    reason: str = ""
    details: dict[str, Any] = {}


class Filter(NamedTuple):
    """Empty or 0 for any."""

    act: str = ""
    target_kind: str = ""
    target_id: int = 0
    actor_id: int = 0


def parse_details(json: str) -> dict[str, Any]:
    """Raises AuditInvalid."""
    if len(json) > MAX_TEXT or "\\u0000" in json:
        raise AuditInvalid(field="details")
    try:
        return msgspec.json.decode(json or "{}", type=dict[str, Any])
    except (msgspec.MsgspecError, RecursionError):
        raise AuditInvalid(field="details") from None


async def append(
    connection: AsyncConnection, act: Act, *, actor_id: int = 0, operator: str = "", key: str = ""
) -> None:
    """Call it in the transaction of the act. A `key` that was used records nothing more. Raises AuditInvalid."""
    _check(act, key)
    row = insert(AuditEntry).values(
        **act._asdict(), actor_id=actor_id or None, operator=operator.replace("\0", "")[:MAX_NAME], key=key or None
    )
    await connection.execute(row.on_conflict_do_nothing(index_elements=(AuditEntry.key,)))


def _check(act: Act, key: str) -> None:
    for name in ("act", "target_kind"):
        if not 0 < len(getattr(act, name)) <= MAX_NAME:
            raise AuditInvalid(field=name)
    if len(act.reason) > MAX_TEXT:
        raise AuditInvalid(field="reason")
    if len(key) > MAX_NAME or "\0" in f"{act.act}{act.target_kind}{act.reason}{key}":
        raise AuditInvalid


async def list_entries(connection: AsyncConnection, wanted: Filter, cursor: str, limit: int) -> pages.Page:
    """Newest first, with the next page's cursor. Raises CursorInvalid."""
    table = AuditEntry.__table__
    which = [table.c[name] == value for name, value in wanted._asdict().items() if value]
    query = select(table).where(table.c.id < pages.id_before(cursor), *which).order_by(table.c.id.desc())
    return await pages.fetch(connection, query, "id", limit=limit, most=MAX_PAGE, cursor=cursor)


async def sweep(connection: AsyncConnection, keep: timedelta) -> int:
    """Deletes at most BATCH entries that are older than `keep`; returns how many."""
    old = select(AuditEntry.id).where(AuditEntry.at < func.now() - keep).order_by(AuditEntry.at).limit(BATCH)
    gone = delete(AuditEntry).where(AuditEntry.id.in_(old.with_for_update(skip_locked=True)))
    return len((await connection.execute(gone.returning(AuditEntry.id))).all())
