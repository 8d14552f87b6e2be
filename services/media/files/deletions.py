"""The queue of keys to be deleted from the store: filled in the transaction that made them needless."""

from collections.abc import Sequence

from sqlalchemy import delete, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.kit.db import Database
from services.media.models import Deletion
from services.media.storage import Storage

BATCH = 200
BACKUP = 7_243_118_271  # advisory lock: whoever holds it copies the files that his snapshot names, and needs them


async def add(connection: AsyncConnection, keys: Sequence[str]) -> None:
    """To be deleted once this transaction has committed."""
    if keys:
        await connection.execute(insert(Deletion).values([{"key": key} for key in keys]))


async def drain(database: Database, storage: Storage) -> int:
    """Deletes what is queued; how much it was. Nothing while a backup is made.

    For one process at a time (the sweeper's leader): a second one's late delete could hit a file that was put anew
    after the first's.
    """
    done = 0
    while True:
        async with database.transaction() as connection:
            if not (await connection.execute(select(func.pg_try_advisory_xact_lock_shared(BACKUP)))).scalar_one():
                return done
            queued = select(Deletion.id, Deletion.key).order_by(Deletion.id).limit(BATCH)
            rows = (await connection.execute(queued)).all()
        if not rows:
            return done
        await storage.delete([row.key for row in rows])
        async with database.transaction() as connection:
            await connection.execute(delete(Deletion).where(Deletion.id.in_([row.id for row in rows])))
        done += len(rows)
