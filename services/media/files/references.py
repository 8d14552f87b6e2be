"""Deletes the files that a video no longer shows, unless they are used elsewhere.

A private file must not outlive its video: without a reference, nothing would keep it private.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Row, delete, exists, or_, select

from services.kit.sql.connection import AsyncConnection
from services.media.files import deletions, ingest
from services.media.files.filetypes import IMAGE
from services.media.models import Derivative, Job, Object, ObjectReference, PartialUpload, Upload
from services.objectstore.store import key_of


async def release_objects(connection: AsyncConnection, owner_id: int, hashes: Sequence[str], private: bool) -> None:
    """Deletes the objects that no other video shows and nobody else uploaded, with their derivatives.

    Call it after the references were deleted. An image that was not `private` stays, because it may be an avatar too.
    """
    for hash in sorted(set(hashes)):
        await ingest.lock_object(connection, hash)
    shown = exists().where(ObjectReference.object_hash == Object.hash)
    others = exists().where(Upload.object_hash == Object.hash, Upload.user_id != owner_id)
    unshown = select(Object.__table__, others.label("shared")).where(Object.hash.in_(hashes), ~shown)
    if not private:
        unshown = unshown.where(Object.kind != IMAGE)
    # Locked, so that a derivative that is being stored of one of them is either found below, or cannot be stored.
    rows = (await connection.execute(unshown.order_by(Object.hash).with_for_update(of=Object))).all()
    mine = delete(Upload).where(Upload.object_hash.in_([row.hash for row in rows]), Upload.user_id == owner_id)
    await connection.execute(mine)
    gone = [row for row in rows if not row.shared]
    await _delete(connection, [*gone, *await _take_derived(connection, [row.hash for row in gone])])


async def _take_derived(connection: AsyncConnection, sources: Sequence[str]) -> Sequence[Row[Any]]:
    """Detaches the derivatives of the sources, and theirs; returns those that nothing else uses."""
    made = delete(Derivative).where(Derivative.source_hash.in_(sources)).returning(Derivative.object_hash)
    hashes = (await connection.execute(made)).scalars().all()
    rows = await _lock_unused(connection, set(hashes) - set(sources))
    return [*rows, *await _take_derived(connection, [row.hash for row in rows])] if rows else rows


async def drop_unused(connection: AsyncConnection, hash: str) -> None:
    """Deletes a derivative that was detached from its source, unless something else uses it."""
    rows = await _lock_unused(connection, {hash})
    await _delete(connection, [*rows, *await _take_derived(connection, [row.hash for row in rows])])


async def _lock_unused(connection: AsyncConnection, hashes: Iterable[str]) -> Sequence[Row[Any]]:
    hashes = sorted(hashes)
    for hash in hashes:
        await ingest.lock_object(connection, hash)
    used = or_(
        exists().where(Derivative.object_hash == Object.hash),
        exists().where(Upload.object_hash == Object.hash),
        exists().where(ObjectReference.object_hash == Object.hash),
    )
    unused = select(Object.__table__).where(Object.hash.in_(hashes), ~used).order_by(Object.hash)
    return (await connection.execute(unused.with_for_update())).all()


async def _delete(connection: AsyncConnection, objects: Sequence[Row[Any]]) -> None:
    hashes = [row.hash for row in objects]
    for table in (Job, PartialUpload):
        await connection.execute(delete(table).where(table.object_hash.in_(hashes)))
    # An object that is also a derivative of another object is deleted with that one.
    kept = select(Derivative.object_hash).where(Derivative.object_hash == Object.hash)
    deleted = delete(Object).where(Object.hash.in_(hashes), ~kept.exists()).returning(Object.hash, Object.extension)
    rows = (await connection.execute(deleted)).all()
    await deletions.add(connection, [key_of(f"{row.hash}.{row.extension}") for row in rows])
