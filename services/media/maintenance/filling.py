"""Makes what files lack that an earlier release stored: the size, the blurhash and the length of pictures at once; and,
by jobs, the MP4s of animations, and the covers, storyboards and sizes of videos."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import structlog
from sqlalchemy import ColumnElement, Row, and_, exists, func, literal, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import aliased

from services.kit.db import Database
from services.kit.errors import Invalid, Unavailable
from services.kit.sql.connection import AsyncConnection
from services.media.config import MediaSettings
from services.media.files import probe
from services.media.files.filetypes import IMAGE, TYPES, VIDEO
from services.media.files.ingest import ANIMATION
from services.media.files.job_queue import add_job
from services.media.files.probe import Facts
from services.media.models import READY, Derivative, Job, Object
from services.media.processing.derivatives import COVER, LADDER, STORYBOARD, STORYBOARD_FROM
from services.media.storage import Storage
from services.objectstore.store import key_of

BATCH = 100
ANIMATED = ("gif", "png", "webp", "avif")  # extensions of pictures that may be animations
SEVERAL_SIZES_FROM = 451  # pixels of the shorter side, as sandbox/hls/rungs.py has it
BEFORE = "hls-before"  # profile by which the playlist that a master playlist replaces keeps its address
log = structlog.get_logger("filling")


class Filled(NamedTuple):
    """Numbers of files, and of jobs that were added."""

    described: int = 0
    left: int = 0  # missing, or refused by today's rules
    jobs: int = 0

    def __add__(self, other: "Filled") -> "Filled":  # type: ignore[override]
        return Filled(*map(sum, zip(self, other, strict=True)))


async def fill(
    database: Database, settings: MediaSettings, storage: Storage, after: str = "", most: int = 1_000
) -> Filled:
    """Looks at the uploaded files, by hash from `after` on, until `most` jobs are added.

    The jobs come last in the queue, but for covers, so no upload waits for them. Repeating it goes on with what still
    lacks; what failed once is left alone.
    """
    done = Filled()
    while done.jobs < most and (rows := await _next(database, after)):
        for row in rows:
            after = row.hash
            done += await (_fill_picture if row.kind == IMAGE else _fill_video)(database, settings, storage, row)
            if done.jobs >= most:
                break
        log.info("filled", until=after, **done._asdict())
    return done


async def _next(database: Database, after: str) -> Sequence[Row[Any]]:
    made = exists().where(Derivative.object_hash == Object.hash)
    lacking = or_(
        and_(Object.kind == IMAGE, or_(Object.blurhash == "", Object.width == 0, _may_be_an_animation())),
        and_(Object.kind == VIDEO, or_(Object.blurhash == "", _lacks(STORYBOARD), _lacks(LADDER))),
    )
    query = select(Object.__table__).where(Object.hash > after, Object.state == READY, lacking, ~made)
    async with database.transaction() as connection:
        return (await connection.execute(query.order_by(Object.hash).limit(BATCH))).all()


def _may_be_an_animation() -> ColumnElement[bool]:
    return and_(Object.extension.in_(ANIMATED), Object.duration == 0, ~_has_job(ANIMATION))


def _lacks(profile: str) -> ColumnElement[bool]:
    deserves = {
        STORYBOARD: Object.duration >= STORYBOARD_FROM,
        LADDER: func.least(Object.width, Object.height) >= SEVERAL_SIZES_FROM,
        COVER: ~exists().where(Derivative.source_hash == Object.hash, Derivative.profile == COVER),
    }
    return and_(deserves[profile], or_(~_has_job(profile), literal(profile) == COVER))


def _has_job(profile: str) -> ColumnElement[bool]:
    return exists().where(Job.object_hash == Object.hash, Job.profile == profile)


async def _fill_picture(database: Database, settings: MediaSettings, storage: Storage, row: Row[Any]) -> Filled:
    facts = await _look(settings, storage, f"{row.hash}.{row.extension}")
    if facts is None:
        return Filled(left=1)
    found = {name: getattr(facts, name) for name in ("width", "height", "duration", "blurhash")}
    values = {name: value for name, value in found.items() if value and not getattr(row, name)}
    async with database.transaction() as connection:
        if values:
            await connection.execute(update(Object).where(Object.hash == row.hash).values(values))
        jobs = await _add_job(connection, row.hash, ANIMATION) if facts.duration else 0
    return Filled(described=bool(values), jobs=jobs)


async def _fill_video(database: Database, settings: MediaSettings, storage: Storage, row: Row[Any]) -> Filled:
    blurhash = row.blurhash or await _blurhash_of_cover(database, settings, storage, row.hash)
    jobs = 0
    async with database.transaction() as connection:
        if blurhash and not row.blurhash:
            await connection.execute(update(Object).where(Object.hash == row.hash).values(blurhash=blurhash))
        for profile in (COVER, STORYBOARD, LADDER):
            wanted = select(Object.hash).where(Object.hash == row.hash, _lacks(profile))
            if (await connection.execute(wanted)).one_or_none():
                if profile == LADDER:
                    await _keep_playlist(connection, row.hash)
                jobs += await _add_job(connection, row.hash, profile)
    return Filled(described=bool(blurhash) and not row.blurhash, jobs=jobs)


async def _add_job(connection: AsyncConnection, hash: str, profile: str) -> int:
    """0 if the job is waiting already, or failed before."""
    known = select(Job.profile).where(Job.object_hash == hash, Job.profile == profile)
    if (await connection.execute(known.where(or_(Job.due_at.is_not(None), Job.reason != "")))).one_or_none():
        return 0
    await add_job(connection, hash, profile)
    return 1


async def _keep_playlist(connection: AsyncConnection, hash: str) -> None:
    shown = select(Derivative.source_hash, literal(BEFORE), Derivative.object_hash)
    shown = shown.where(Derivative.source_hash == hash, Derivative.profile == "hls")
    kept = insert(Derivative).from_select(["source_hash", "profile", "object_hash"], shown)
    await connection.execute(kept.on_conflict_do_nothing())


async def _blurhash_of_cover(database: Database, settings: MediaSettings, storage: Storage, hash: str) -> str:
    """ "" if there is no cover."""
    cover = aliased(Object)
    query = select(cover.hash, cover.extension).join(Derivative, Derivative.object_hash == cover.hash)
    async with database.transaction() as connection:
        found = (
            await connection.execute(query.where(Derivative.source_hash == hash, Derivative.profile == COVER))
        ).all()
    facts = await _look(settings, storage, f"{found[0].hash}.{found[0].extension}") if found else None
    return facts.blurhash if facts else ""


async def _look(settings: MediaSettings, storage: Storage, file: str) -> Facts | None:
    """The facts of a stored file, which stays as it is; None if it is missing, or refused by today's rules."""
    try:
        async with storage.spooling() as spool:
            async for chunk in storage.read(key_of(file)):
                await spool.write(chunk)
            copy = await spool.finish()
            return await probe.probe(settings, copy.path, TYPES[file.rpartition(".")[2]])
    except (Invalid, Unavailable, FileNotFoundError) as error:
        log.warning("left as it is", file=file, error=repr(error)[:200])
        return None
