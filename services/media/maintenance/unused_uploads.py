"""Deletes uploads that nothing has shown for a number of days (docs/contract/api.md, "Files").

An upload is used by its owner's videos, and by what the other services show: messages, avatars and groups hold the
object once and for good.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Row, delete, text

from services.kit.db import Database
from services.kit.sql.connection import AsyncConnection
from services.media.files import ingest
from services.media.files.references import release_objects
from services.media.models import Upload

BATCH = 500  # uploads that one statement examines

USED = """
    EXISTS (SELECT FROM object o WHERE o.hash = u.object_hash AND o.held_at IS NOT NULL)
    OR EXISTS (SELECT FROM object_reference r WHERE r.object_hash = u.object_hash AND r.owner_id = u.user_id)
    OR EXISTS (SELECT FROM derivative d JOIN object_reference r ON r.object_hash = d.object_hash
        WHERE d.source_hash = u.object_hash AND r.owner_id = u.user_id)
    OR EXISTS (SELECT FROM derivative d JOIN object o ON o.hash = d.object_hash
        WHERE d.source_hash = u.object_hash AND o.held_at IS NOT NULL)"""
OLD = "renewed_at < now() - make_interval(days => :days)"
EXAMINE = text(f"""
    SELECT object_hash, user_id, renewed_at, {USED} AS used FROM (
        SELECT object_hash, user_id, renewed_at FROM upload
        WHERE {OLD} AND (renewed_at, object_hash, user_id) > (:after, :hash, :user_id)
        ORDER BY renewed_at, object_hash, user_id LIMIT {BATCH}) u
    ORDER BY renewed_at, object_hash, user_id""")  # noqa: S608
LOCK = text("SELECT FROM object WHERE hash = :hash FOR UPDATE")
STILL_UNUSED = text(f"SELECT FROM upload u WHERE object_hash = :hash AND user_id = :user_id AND {OLD} AND NOT ({USED})")


class Position(NamedTuple):
    after: datetime
    hash: str
    user_id: int


START = Position(datetime(2000, 1, 1).astimezone(), "", 0)


async def sweep_unused(database: Database, days: int) -> int:
    """Deletes what is not used and was last uploaded so many days ago; returns the number of uploads."""
    position, swept = START, 0
    while True:
        async with database.transaction() as connection:
            rows = await _examine(connection, position, days)
        for row in rows:
            if not row.used:
                async with database.transaction() as connection:
                    swept += await _delete(connection, row, days)
        if len(rows) < BATCH:
            return swept
        position = Position(rows[-1].renewed_at, rows[-1].object_hash, rows[-1].user_id)


async def _examine(connection: AsyncConnection, position: Position, days: int) -> Sequence[Row[Any]]:
    return (await connection.execute(EXAMINE, position._asdict() | {"days": days})).all()


async def _delete(connection: AsyncConnection, row: Row[Any], days: int) -> bool:
    """Deletes an upload unless it came into use meanwhile. The locks keep others from using or uploading it now."""
    await ingest.lock_object(connection, row.object_hash)
    await connection.execute(LOCK, {"hash": row.object_hash})
    asked = {"hash": row.object_hash, "user_id": row.user_id, "days": days}
    if (await connection.execute(STILL_UNUSED, asked)).first() is None:
        return False
    await release_objects(connection, row.user_id, [row.object_hash], private=True)
    mine = (Upload.object_hash == row.object_hash, Upload.user_id == row.user_id)
    await connection.execute(delete(Upload).where(*mine))  # it stays above if another user's video shows the object
    return True
