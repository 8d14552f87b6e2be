"""Objects: read them, and decide who may see and use them."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import ARRAY, Row, Text, exists, func, literal, or_, select, text, update

from services.kit.context import Caller
from services.kit.db import one_of
from services.kit.pages import check_batch
from services.kit.roles import is_admin
from services.kit.sql.connection import AsyncConnection
from services.media.errors import (
    HashInvalid,
    NotFailed,
    ObjectKindInvalid,
    ObjectNotFound,
)
from services.media.models import FAILED, HIDDEN, PROCESSING, Derivative, Job, Object, ObjectReference, Upload

HASH = re.compile("[0-9a-f]{64}")

# An object is private if videos show it and none of them is public, unless one of its uploaders shows it in no video:
# it may be their avatar, and nobody else's private video can hide that. A derivative is as private as its sources; it
# may be made of another derivative, as a size of a cover is. An object is hidden if moderators hid all videos that show
# it, whoever uploaded it.
PRIVATE = text("""
    WITH RECURSIVE source (asked, hash) AS (
        SELECT hash, hash FROM unnest(CAST(:hashes AS text[])) AS asked (hash)
        UNION SELECT asked, d.source_hash FROM source s JOIN derivative d ON d.object_hash = s.hash)
    SELECT asked AS hash, bool_and(
        EXISTS (SELECT FROM object_reference r WHERE r.object_hash = source.hash)
        AND NOT EXISTS (SELECT FROM object_reference r WHERE r.object_hash = source.hash AND visibility = 0)
        AND NOT EXISTS (SELECT FROM upload u WHERE u.object_hash = source.hash AND NOT EXISTS
            (SELECT FROM object_reference r WHERE r.object_hash = source.hash AND r.owner_id = u.user_id))) AS private,
        bool_and(EXISTS (SELECT FROM object_reference r WHERE r.object_hash = source.hash)
        AND NOT EXISTS (SELECT FROM object_reference r WHERE r.object_hash = source.hash AND visibility <> 3)) AS hidden
    FROM source
    WHERE EXISTS (SELECT FROM upload u WHERE u.object_hash = source.hash)
        OR EXISTS (SELECT FROM object_reference r WHERE r.object_hash = source.hash)
    GROUP BY asked""")

VARIANT = re.compile("w([0-9]+)-([a-z]+)")  # profile of a derivative


class Variant(NamedTuple):
    """A picture in another size or format, as it was asked for."""

    width: int
    format: str
    file: str
    media_type: str
    size: int


class ObjectDetails(NamedTuple):
    """An object's row and the files made of it, each `<hash>.<extension>` or empty."""

    row: Any
    private: bool
    hidden: bool = False
    cover: str = ""
    playback: str = ""
    hls: str = ""
    storyboard: str = ""
    variants: Sequence[Variant] = ()


async def batch_get(connection: AsyncConnection, hashes: Sequence[str]) -> list[ObjectDetails]:
    """Returns the objects that exist, in any order. Raises BatchTooLarge, HashInvalid."""
    check_batch(hashes)
    if not all(map(HASH.fullmatch, hashes)):
        raise HashInvalid
    asked = literal(list(hashes), ARRAY(Text))
    rows = (await connection.execute(select(Object.__table__).where(Object.hash == func.any(asked)))).all()
    access = {row.hash: row for row in await connection.execute(PRIVATE, {"hashes": list(hashes)})}
    made = (
        select(Derivative.source_hash, Derivative.profile, Object.__table__)
        .join(Object, Object.hash == Derivative.object_hash)
        .where(Derivative.source_hash == func.any(asked))
    )
    by_source: dict[str, dict[str, Any]] = {}
    for derived in await connection.execute(made):
        by_source.setdefault(derived.source_hash, {})[derived.profile] = derived
    return [_details(row, access.get(row.hash), by_source.get(row.hash, {})) for row in rows]


def _details(row: Any, access: Any | None, derived: Mapping[str, Any]) -> ObjectDetails:
    hidden = access is not None and access.hidden
    private = access is not None and (access.private or hidden)
    files = {profile: f"{of.hash}.{of.extension}" for profile, of in derived.items()}
    variants = [
        Variant(int(found[1]), found[2], files[profile], of.media_type, of.size)
        for profile, of in derived.items()
        if (found := VARIANT.fullmatch(profile))
    ]
    made = {profile: files.get(profile, "") for profile in ("cover", "playback", "hls", "storyboard")}
    return ObjectDetails(row, private, hidden, **made, variants=variants)


async def get(connection: AsyncConnection, hash: str) -> ObjectDetails:
    """Raises ObjectNotFound, HashInvalid."""
    for details in await batch_get(connection, [hash]):
        return details
    raise ObjectNotFound


async def get_own(connection: AsyncConnection, caller: Caller, hash: str) -> ObjectDetails:
    """Returns an object that the caller uploaded; for an admin, any object. Raises ObjectNotFound, HashInvalid."""
    details = await get(connection, hash)
    mine = select(Upload.user_id).where(Upload.object_hash == hash, Upload.user_id == caller.user_id)
    if not is_admin(caller.role) and (await connection.execute(mine)).one_or_none() is None:
        raise ObjectNotFound
    return details


async def lock_own(connection: AsyncConnection, caller: Caller, hashes: Sequence[str]) -> dict[str, Row[Any]]:
    """Returns objects that the caller uploaded, or that were made of their uploads, by hash.

    Their processing cannot end and they cannot be deleted before the transaction ends. Raises ObjectNotFound for any
    other object (docs/contract/api.md, "Files"), and for one that a moderator hid.
    """
    uploaded = exists().where(Upload.object_hash == Object.hash, Upload.user_id == caller.user_id)
    made = (Derivative.object_hash == Object.hash, Upload.object_hash == Derivative.source_hash)
    derived = exists().where(*made, Upload.user_id == caller.user_id)
    withheld = exists().where(ObjectReference.object_hash == Object.hash, ObjectReference.visibility == HIDDEN)
    mine = (Object.hash.in_(hashes), or_(uploaded, derived), ~withheld)
    query = select(Object.__table__).where(*mine).order_by(Object.hash)
    rows = {row.hash: row for row in await connection.execute(query.with_for_update(read=True))}
    if len(rows) < len(set(hashes)):
        raise ObjectNotFound
    return rows


async def hold(connection: AsyncConnection, hashes: Sequence[str]) -> None:
    """Keeps objects that something outside this service shows, such as a message. Unknown hashes are ignored."""
    unheld = select(Object.hash).where(one_of(Object.hash, hashes), Object.held_at.is_(None)).order_by(Object.hash)
    locked = unheld.with_for_update(key_share=True)
    await connection.execute(update(Object).where(Object.hash.in_(locked)).values(held_at=func.now()))


async def use(connection: AsyncConnection, caller: Caller, hash: str, kind: str) -> ObjectDetails:
    """Holds an object that the caller uploaded, of that kind if one is given.

    Raises ObjectNotFound, HashInvalid, ObjectKindInvalid.
    """
    if not HASH.fullmatch(hash):
        raise HashInvalid
    rows = await lock_own(connection, caller, [hash])
    if kind and rows[hash].kind != kind:
        raise ObjectKindInvalid
    await hold(connection, [hash])
    return await get(connection, hash)


async def retry(connection: AsyncConnection, caller: Caller, hash: str) -> ObjectDetails:
    """Queues the failed jobs of an object again. Raises ObjectNotFound, HashInvalid, NotFailed."""
    details = await get_own(connection, caller, hash)
    locked: Row[Any] = (
        await connection.execute(select(Object.state).where(Object.hash == hash).with_for_update())
    ).one()
    if locked.state != FAILED:
        raise NotFailed
    jobs = update(Job).where(Job.object_hash == hash, Job.reason != "")
    await connection.execute(jobs.values(due_at=func.now(), attempts=0, reason=""))
    await connection.execute(update(Object).where(Object.hash == hash).values(state=PROCESSING, reason=""))
    return await get(connection, details.row.hash)
