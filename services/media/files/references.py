"""Files that a video no longer shows: theirs is the end of the video, unless they are of use elsewhere.

Without it a private file would turn public, since nothing would say any more that it is not.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Row, delete, exists, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.media.files import deletions, ingest
from services.media.files.filetypes import IMAGE
from services.media.models import Derivative, Job, Object, ObjectReference, PartialUpload, Upload
from services.objectstore.store import key_of


async def release(connection: AsyncConnection, owner_id: int, hashes: Sequence[str], private: bool) -> None:
    """Once their references are gone: deletes those of the objects that no other video shows and nobody else
    uploaded, with all that was made of them. A picture that was not `private` stays: it may be an avatar, too.
    """
    for hash in sorted(set(hashes)):
        await ingest.lock_object(connection, hash)
    shown = exists().where(ObjectReference.object_hash == Object.hash)
    others = exists().where(Upload.object_hash == Object.hash, Upload.user_id != owner_id)
    unshown = select(Object.__table__, others.label("shared")).where(Object.hash.in_(hashes), ~shown)
    if not private:
        unshown = unshown.where(Object.kind != IMAGE)
    rows = (await connection.execute(unshown)).all()
    mine = delete(Upload).where(Upload.object_hash.in_([row.hash for row in rows]), Upload.user_id == owner_id)
    await connection.execute(mine)
    gone = [row for row in rows if not row.shared]
    await _delete(connection, [*gone, *await _take_derived(connection, [row.hash for row in gone])])


async def _take_derived(connection: AsyncConnection, sources: Sequence[str]) -> Sequence[Row[Any]]:
    """What was made of the sources only."""
    made = delete(Derivative).where(Derivative.source_hash.in_(sources)).returning(Derivative.object_hash)
    hashes = (await connection.execute(made)).scalars().all()
    return await _lock_unused(connection, set(hashes) - set(sources))


async def drop_unused(connection: AsyncConnection, hash: str) -> None:
    """Of what was made of a video and is not its any more."""
    await _delete(connection, await _lock_unused(connection, {hash}))


async def _lock_unused(connection: AsyncConnection, hashes: Iterable[str]) -> Sequence[Row[Any]]:
    hashes = sorted(hashes)
    for hash in hashes:
        await ingest.lock_object(connection, hash)
    used = or_(
        exists().where(Derivative.object_hash == Object.hash),
        exists().where(Upload.object_hash == Object.hash),
        exists().where(ObjectReference.object_hash == Object.hash),
    )
    return (await connection.execute(select(Object.__table__).where(Object.hash.in_(hashes), ~used))).all()


async def _delete(connection: AsyncConnection, objects: Sequence[Row[Any]]) -> None:
    hashes = [row.hash for row in objects]
    for table in (Job, PartialUpload):
        await connection.execute(delete(table).where(table.object_hash.in_(hashes)))
    # One that was both a source and made of another goes with its last tie.
    kept = select(Derivative.object_hash).where(Derivative.object_hash == Object.hash)
    deleted = delete(Object).where(Object.hash.in_(hashes), ~kept.exists()).returning(Object.hash, Object.extension)
    rows = (await connection.execute(deleted)).all()
    await deletions.add(connection, [key_of(f"{row.hash}.{row.extension}") for row in rows])
