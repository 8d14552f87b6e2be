"""Objects: taking files in, and who may see them."""

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import ARRAY, Row, Text, func, literal, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.kit.context import Caller
from services.media.errors import (
    BatchTooLarge,
    HashInvalid,
    NotFailed,
    ObjectNotFound,
)
from services.media.models import FAILED, PROCESSING, Derivative, Job, Object, Upload

MAX_BATCH = 500
ADMIN = 3
HASH = re.compile("[0-9a-f]{64}")

# An object is as private as the videos that show it: private if there are some and none is public. Whoever
# uploaded it and shows it in none may use it elsewhere, as his avatar say, and nobody's video takes that away.
# What processing made is as private as what it was made of.
PRIVATE = text("""
    SELECT asked.hash, bool_and(
        EXISTS (SELECT FROM object_reference r WHERE r.object_hash = source)
        AND NOT EXISTS (SELECT FROM object_reference r WHERE r.object_hash = source AND visibility = 0)
        AND NOT EXISTS (SELECT FROM upload u WHERE u.object_hash = source AND NOT EXISTS
            (SELECT FROM object_reference r WHERE r.object_hash = source AND r.owner_id = u.user_id))) AS private
    FROM unnest(CAST(:hashes AS text[])) AS asked (hash), LATERAL (
        SELECT asked.hash AS source WHERE EXISTS (SELECT FROM upload WHERE object_hash = asked.hash)
            OR EXISTS (SELECT FROM object_reference WHERE object_hash = asked.hash)
        UNION SELECT source_hash FROM derivative WHERE object_hash = asked.hash) sources
    GROUP BY asked.hash""")


class View(NamedTuple):
    """An object, and what there is beside it; files are `<hash>.<extension>`."""

    row: Any
    private: bool
    cover: str = ""
    playback: str = ""
    hls: str = ""


async def batch_get(connection: AsyncConnection, hashes: Sequence[str]) -> list[View]:
    """Those that there are, in any order. Raises BatchTooLarge, HashInvalid."""
    if len(hashes) > MAX_BATCH:
        raise BatchTooLarge
    if not all(map(HASH.fullmatch, hashes)):
        raise HashInvalid
    asked = literal(list(hashes), ARRAY(Text))
    rows = (await connection.execute(select(Object.__table__).where(Object.hash == func.any(asked)))).all()
    private = {row.hash: row.private for row in await connection.execute(PRIVATE, {"hashes": list(hashes)})}
    made = (
        select(Derivative.source_hash, Derivative.profile, Derivative.object_hash, Object.extension)
        .join(Object, Object.hash == Derivative.object_hash)
        .where(Derivative.source_hash == func.any(asked))
    )
    files = {
        (row.source_hash, row.profile): f"{row.object_hash}.{row.extension}" for row in await connection.execute(made)
    }
    return [
        View(
            row,
            private.get(row.hash, False),
            *(files.get((row.hash, profile), "") for profile in ("cover", "playback", "hls")),
        )
        for row in rows
    ]


async def get(connection: AsyncConnection, hash: str) -> View:
    """Raises ObjectNotFound, HashInvalid."""
    for view in await batch_get(connection, [hash]):
        return view
    raise ObjectNotFound


async def get_own(connection: AsyncConnection, caller: Caller, hash: str) -> View:
    """One that the caller uploaded; any, for an admin. Raises ObjectNotFound, HashInvalid."""
    view = await get(connection, hash)
    mine = select(Upload.user_id).where(Upload.object_hash == hash, Upload.user_id == caller.user_id)
    if caller.role < ADMIN and (await connection.execute(mine)).one_or_none() is None:
        raise ObjectNotFound
    return view


async def require_visible(connection: AsyncConnection, caller: Caller, hashes: Sequence[str]) -> None:
    """That the caller may show these objects: he uploaded them, or they are for everyone.

    Raises ObjectNotFound, HashInvalid.
    """
    views = {view.row.hash: view for view in await batch_get(connection, hashes)}
    mine = select(Upload.object_hash).where(Upload.object_hash.in_(hashes), Upload.user_id == caller.user_id)
    own = set((await connection.execute(mine)).scalars())
    if not all(hash in views and (hash in own or not views[hash].private) for hash in hashes):
        raise ObjectNotFound


async def retry(connection: AsyncConnection, caller: Caller, hash: str) -> View:
    """Raises ObjectNotFound, HashInvalid, NotFailed."""
    view = await get_own(connection, caller, hash)
    locked: Row[Any] = (
        await connection.execute(select(Object.state).where(Object.hash == hash).with_for_update())
    ).one()
    if locked.state != FAILED:
        raise NotFailed
    jobs = update(Job).where(Job.object_hash == hash, Job.reason != "")
    await connection.execute(jobs.values(due_at=func.now(), attempts=0, reason=""))
    await connection.execute(update(Object).where(Object.hash == hash).values(state=PROCESSING, reason=""))
    return await get(connection, view.row.hash)
