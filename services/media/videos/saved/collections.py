"""Collections: names under which a user saves videos, at most 100."""

from typing import NamedTuple

from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError

from services.kit.context import Caller
from services.kit.sql.connection import AsyncConnection
from services.media.errors import CollectionInvalid, CollectionLimitReached, CollectionNotFound, CollectionTaken
from services.media.videos.saved.models import Collection, SavedVideo
from services.media.videos.saved.saves import lock_saves

MAX_NAME, MAX_COLLECTIONS = 50, 100  # characters; of one user


class CollectionCount(NamedTuple):
    id: int
    name: str
    video_count: int


async def list_collections(connection: AsyncConnection, caller: Caller) -> tuple[list[CollectionCount], int]:
    """By name, and how many videos are saved in all."""
    mine = select(SavedVideo.collection_id, func.count()).where(SavedVideo.user_id == caller.user_id)
    counts = {row[0]: row[1] for row in await connection.execute(mine.group_by(SavedVideo.collection_id))}
    named = select(Collection.id, Collection.name).where(Collection.user_id == caller.user_id)
    rows = (await connection.execute(named.order_by(Collection.name))).all()
    return [CollectionCount(row.id, row.name, counts.get(row.id, 0)) for row in rows], sum(counts.values())


async def create_collection(connection: AsyncConnection, caller: Caller, name: str) -> CollectionCount:
    """The one of this name if there is one. Raises CollectionInvalid, CollectionLimitReached."""
    name = _check(name)
    await lock_saves(connection, caller.user_id)
    found, _ = await list_collections(connection, caller)
    for collection in found:
        if collection.name == name:
            return collection
    if len(found) >= MAX_COLLECTIONS:
        raise CollectionLimitReached
    row = insert(Collection).values(user_id=caller.user_id, name=name).returning(Collection.id)
    return CollectionCount((await connection.execute(row)).scalar_one(), name, 0)


async def rename_collection(
    connection: AsyncConnection, caller: Caller, collection_id: int, name: str
) -> CollectionCount:
    """Raises CollectionInvalid, CollectionNotFound, CollectionTaken."""
    name = _check(name)
    await lock_saves(connection, caller.user_id)
    mine = (Collection.id == collection_id, Collection.user_id == caller.user_id)
    try:
        renamed = await connection.execute(update(Collection).where(*mine).values(name=name))
    except IntegrityError:
        raise CollectionTaken from None
    if not renamed.rowcount:
        raise CollectionNotFound
    count = select(func.count()).where(SavedVideo.collection_id == collection_id)
    return CollectionCount(collection_id, name, (await connection.execute(count)).scalar_one())


async def delete_collection(connection: AsyncConnection, caller: Caller, collection_id: int) -> None:
    """Its videos stay saved. Repeating it changes nothing."""
    await lock_saves(connection, caller.user_id)
    mine = (Collection.id == collection_id, Collection.user_id == caller.user_id)
    if (await connection.execute(delete(Collection).where(*mine))).rowcount:
        inside = update(SavedVideo).where(SavedVideo.collection_id == collection_id)
        await connection.execute(inside.values(collection_id=None))


def _check(name: str) -> str:
    name = name.strip()
    if not 1 <= len(name) <= MAX_NAME or not name.isprintable():
        raise CollectionInvalid
    return name
