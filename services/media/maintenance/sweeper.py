"""Cleans up: queued deletions, abandoned uploads, and files in the store that no row names."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path

import structlog
from obstore.store import LocalStore
from prometheus_client import Counter, Gauge
from sqlalchemy import ColumnElement, and_, func, select
from sqlalchemy.exc import SQLAlchemyError

from services.kit import background
from services.kit.db import Database
from services.kit.errors import HitokError
from services.media import spools
from services.media.files import deletions, ingest, resumable
from services.media.maintenance.counter_audit import DriftAudit
from services.media.maintenance.search_words import renew_words
from services.media.maintenance.unused_uploads import sweep_unused
from services.media.models import Object, Part, PartialUpload
from services.media.resources import Resources
from services.media.storage import Storage
from services.media.tags import trending
from services.media.videos.for_you.near_videos import NearVideoKeeper
from services.objectstore.store import key_of

LEADER = 7_243_118_270  # advisory lock: one of the media processes on a database sweeps
LOOK_EVERY = 20.0  # seconds; a queued deletion is done at once
AUDITED = 500  # rows of each table whose counters a look compares
AGAIN = 2.0  # seconds after a failure
BATCH = 500
STALLED = 6 * 3600.0  # a sweep lists the whole store
PARTIAL = "partial/"

SWEPT = Counter("hitok_media_swept", "What the sweeper removed", ["what"])
MISSING = Gauge("hitok_media_missing_objects", "Rows whose file was not in the store at the last sweep")
log = structlog.get_logger("sweeper")


@asynccontextmanager
async def sweeping(service: Resources) -> AsyncIterator[None]:
    """Sweeps while the block runs, unless another process does."""
    async with background.run(sweep=lambda: _run(service)):
        yield


async def _run(service: Resources) -> None:
    while True:
        try:
            async with service.sessions.reading() as connection:
                while not (await connection.execute(select(func.pg_try_advisory_lock(LEADER)))).scalar_one():
                    background.come_round(service.settings.sweep_seconds + STALLED)
                    await asyncio.to_thread(sweep_spool, service)
                    await asyncio.sleep(service.settings.sweep_seconds)
                try:
                    await _lead(service, connection)
                finally:
                    await connection.execute(select(func.pg_advisory_unlock(LEADER)))
        except (SQLAlchemyError, HitokError, OSError) as error:
            log.warning("sweep failed", error=repr(error)[:200])
            await asyncio.sleep(AGAIN)


async def _lead(service: Resources, connection: object) -> None:
    swept_at, looked_at, audit, near = 0.0, 0.0, DriftAudit(AUDITED), NearVideoKeeper()
    while True:
        background.come_round(STALLED)
        service.deletion_queued.clear()
        if (now := time.monotonic()) - swept_at >= service.settings.sweep_seconds or not swept_at:
            swept_at = now
            await sweep(service)
        await deletions.drain(service.database, service.storage)
        if now - looked_at >= LOOK_EVERY:
            looked_at = now
            await renew_words(service.database)
            await near.renew(service.database)
            if wrong := await audit.step(service.database):
                log.error("counters differ from their rows", count=wrong)
        with suppress(TimeoutError):
            await asyncio.wait_for(service.deletion_queued.wait(), LOOK_EVERY)
        await connection.execute(select(1))  # type: ignore[attr-defined]  # raises if the lock was lost with the connection


async def sweep(service: Resources) -> None:
    """Sweeps everything once."""
    await asyncio.to_thread(sweep_spool, service)
    await _sweep_uploads(service)
    await _prune_tags(service)
    SWEPT.labels("unused uploads").inc(await sweep_unused(service.database, service.settings.unused_days))
    await _sweep_orphans(service)
    MISSING.set(missing := await count_missing(service.database, service.storage))
    if missing:
        log.error("files are missing from the store", count=missing)


async def _prune_tags(service: Resources) -> None:
    async with service.database.transaction() as connection:
        await trending.prune(connection, datetime.now(UTC).date())


def sweep_spool(service: Resources) -> None:
    """Deletes temporary files that killed processes left on this machine. It walks through the whole store, if that is
    a folder, so do not call it on the event loop."""
    oldest = time.time() - service.settings.sweep_grace_seconds
    spool = service.storage.spool.parent
    SWEPT.labels("temporary files").inc(spools.delete_abandoned(spool))
    old = _old_files(spool, oldest)
    if isinstance(service.storage.store, LocalStore) and service.storage.store.prefix:
        # obstore writes to `<name>#<number>` first, and leaves that name out of its lists.
        old = chain(old, _old_files(Path(service.storage.store.prefix), oldest, mark="#"))
    for path in old:
        with suppress(FileNotFoundError):
            path.unlink()
            SWEPT.labels("temporary files").inc()
    for path in service.storage.spool.iterdir():
        with suppress(OSError):  # a folder that is not empty, or a file
            if path.stat().st_mtime < oldest:
                path.rmdir()


def _old_files(folder: Path, oldest: float, mark: str = "") -> Iterator[Path]:
    """The files with `mark` in their names that were last written before `oldest` (Unix seconds). Passes over what goes
    meanwhile."""
    for root, _, names in os.walk(folder):
        for path in (Path(root, name) for name in names if mark in name):
            with suppress(FileNotFoundError):
                if path.is_file() and path.stat().st_mtime < oldest:
                    yield path


async def _sweep_uploads(service: Resources) -> None:
    while True:
        async with service.database.transaction() as connection:
            expired = select(PartialUpload.id).where(PartialUpload.expires_at < func.now()).limit(BATCH)
            ids = list((await connection.execute(expired.with_for_update(skip_locked=True))).scalars())
            await resumable.drop(connection, ids)
        SWEPT.labels("uploads").inc(len(ids))
        if len(ids) < BATCH:
            return


async def _sweep_orphans(service: Resources) -> None:
    oldest = time.time() - service.settings.sweep_grace_seconds
    async for batch in service.storage.list():
        keys = [key for key, written in batch if written < oldest]
        for key in await _unknown(service.database, keys):
            SWEPT.labels("objects").inc(await _delete_unknown(service.database, key))


async def _unknown(database: Database, keys: Sequence[str]) -> list[str]:
    """Returns the keys that no row names."""
    hashes = [_hash_of(key) for key in keys]
    async with database.transaction() as connection:
        known = set((await connection.execute(select(Object.hash).where(Object.hash.in_(hashes)))).scalars())
        parts = set((await connection.execute(select(Part.key).where(Part.key.in_(keys)))).scalars())
    return [key for key in keys if key not in parts and _hash_of(key) not in known]


async def _delete_unknown(database: Database, key: str) -> bool:
    """Queues a key for deletion, unless a row names it by now. Ingest then waits until the file is deleted."""
    async with database.transaction() as connection:
        await ingest.lock_object(connection, _hash_of(key))
        if (await connection.execute(select(Object.hash).where(Object.hash == _hash_of(key)))).one_or_none():
            return False
        await deletions.add(connection, [key])
        return True


def _hash_of(key: str) -> str:
    return "" if key.startswith(PARTIAL) else key.rpartition("/")[2].partition(".")[0]


async def count_missing(database: Database, storage: Storage) -> int:
    """Counts rows whose file is not in the store. Lists the whole store, one prefix of the hashes at a time."""
    missing = 0
    for number in range(256):
        prefix = f"{number:02x}"
        in_store = {key async for batch in storage.list(prefix) for key, _ in batch}
        async with database.transaction() as connection:
            rows = (await connection.execute(select(Object.hash, Object.extension).where(_begins(prefix)))).all()
        for key in (key_of(f"{row.hash}.{row.extension}") for row in rows):
            missing += key not in in_store and not await storage.exists(key)  # it may have been stored meanwhile
    return missing


def _begins(prefix: str) -> ColumnElement[bool]:
    return and_(Object.hash >= prefix, Object.hash < prefix + "g")  # "g" sorts after every hexadecimal digit
