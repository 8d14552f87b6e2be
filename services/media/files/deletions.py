"""The queue of keys to delete from the store, filled by the transaction that deletes the rows."""

from collections.abc import Sequence

from sqlalchemy import delete, func, insert, select

from services.kit.db import Database
from services.kit.sql.connection import AsyncConnection
from services.media.models import Deletion
from services.media.storage import Storage

BATCH = 200
BACKUP = 7_243_118_271  # advisory lock that a backup holds while it copies the files of its snapshot


async def add(connection: AsyncConnection, keys: Sequence[str]) -> None:
    """Queues the keys; they are deleted after this transaction has committed."""
    if keys:
        await connection.execute(insert(Deletion).values([{"key": key} for key in keys]))


async def drain(database: Database, storage: Storage) -> int:
    """Deletes the queued keys from the store; returns how many. Does nothing while a backup is made.

    Only one process may do this at a time (the sweeper's leader): the late delete of a second process could hit a file
    that was stored again after the first one's delete.
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
