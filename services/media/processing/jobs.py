"""Processing: what is made of a video after its upload, by any number of workers in any number of processes.

The `job` table is the queue. Its rows are written with the object's, so none is lost; a worker takes one by
moving its `due_at` on, and goes on moving it while it lives, so the job of a worker that was killed falls due
again; and what it makes is written with the job's end, so nothing is made twice. A JetStream work queue would
need all of this too, since an acknowledgement and a commit are two things.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import structlog
from prometheus_client import Counter
from sqlalchemy import Row, func, literal, select, text, tuple_, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from services.kit import background
from services.kit.errors import HitokError, Unavailable
from services.media import events
from services.media.errors import FileBroken
from services.media.files.ingest import PROFILES
from services.media.models import FAILED, PROCESSING, READY, Job, Object, Upload
from services.media.processing import derivatives
from services.media.resources import Resources
from services.media.videos import publishing

POLL = 2.0  # seconds between looks for jobs of other processes
ATTEMPTS = 3  # that may die of a job before it is given up

DONE = Counter("hitok_media_jobs", "Jobs ended", ["profile", "outcome"])
for profile in PROFILES:
    for outcome in ("done", "failed"):
        DONE.labels(profile, outcome)
log = structlog.get_logger("processing")


@asynccontextmanager
async def processing(service: Resources) -> AsyncIterator[None]:
    """Works while the block runs; then gives back what is not done."""
    async with background.run(**{f"process_{n}": lambda: _work(service) for n in range(service.settings.workers)}):
        yield


async def _work(service: Resources) -> None:
    while True:
        try:
            service.job_ready.clear()
            while job := await _take(service):
                await _do(service, job)
            with suppress(TimeoutError):
                await asyncio.wait_for(service.job_ready.wait(), POLL)
        except (SQLAlchemyError, HitokError, OSError) as error:
            log.warning("worker waits", error=repr(error)[:200])
            await asyncio.sleep(POLL)


async def _take(service: Resources) -> Row[Any] | None:
    """A job with its object, held for a lease."""
    due = select(Job.object_hash, Job.profile).where(Job.due_at <= func.now()).order_by(Job.due_at).limit(1)
    held = (
        update(Job)
        .where(tuple_(Job.object_hash, Job.profile).in_(due.with_for_update(skip_locked=True)))
        .where(Object.hash == Job.object_hash)
        .values(due_at=_after(service.settings.lease_seconds), attempts=Job.attempts + 1)
        .returning(Job.profile, Job.attempts, Object.__table__)
    )
    async with service.database.transaction() as connection:
        job: Row[Any] | None = (await connection.execute(held)).one_or_none()
        return job


def _after(seconds: float) -> Any:
    return func.now() + text("interval '1 second'") * literal(seconds)


async def _do(service: Resources, job: Row[Any]) -> None:
    """Made, given up, or given back: to be tried by anybody, at once or after a while."""
    reason = ""
    try:
        async with _holding(service, job):
            if job.attempts > ATTEMPTS:
                raise FileBroken("every worker died of it")
            await derivatives.make(service, job)
    except (Unavailable, FileNotFoundError, SQLAlchemyError) as error:
        log.warning("job waits", hash=job.hash, profile=job.profile, error=repr(error)[:200])
        await _give_back(service, job, 2.0**job.attempts)
        return
    except asyncio.CancelledError:
        with suppress(SQLAlchemyError):
            await asyncio.shield(_give_back(service, job, 0))
        raise
    except HitokError as error:
        log.info("job failed", hash=job.hash, profile=job.profile, detail=str(error)[:300])
        reason = error.reason
    DONE.labels(job.profile, "failed" if reason else "done").inc()
    async with service.database.transaction() as connection:
        await _end(connection, job, reason)


@asynccontextmanager
async def _holding(service: Resources, job: Row[Any]) -> AsyncIterator[None]:
    """Keeps others from taking the job while we work at it."""

    async def renew() -> None:
        while True:
            await asyncio.sleep(service.settings.lease_seconds / 3)
            with suppress(SQLAlchemyError):
                async with service.database.transaction() as connection:
                    await connection.execute(_of(job).values(due_at=_after(service.settings.lease_seconds)))

    task = asyncio.create_task(renew())
    try:
        yield
    finally:
        task.cancel()


def _of(job: Row[Any]) -> Any:
    return update(Job).where(Job.object_hash == job.hash, Job.profile == job.profile, Job.due_at.is_not(None))


async def _give_back(service: Resources, job: Row[Any], seconds: float) -> None:
    async with service.database.transaction() as connection:
        await connection.execute(_of(job).values(due_at=_after(seconds), attempts=job.attempts - 1))


async def _end(connection: AsyncConnection, job: Row[Any], reason: str) -> None:
    """The object is ready with its last job, and failed with the first that failed; its uploaders are told."""
    await publishing.lock_waiting(connection, job.hash)
    state = select(Object.state).where(Object.hash == job.hash).with_for_update(key_share=True)
    processed = (await connection.execute(state)).scalar_one_or_none() == PROCESSING  # none: deleted meanwhile
    ended = await connection.execute(_of(job).values(due_at=None, reason=reason).returning(Job.profile))
    if ended.one_or_none() is None or not processed:
        return
    left = select(Job.profile).where(Job.object_hash == job.hash, Job.due_at.is_not(None)).limit(1)
    user_ids = (await connection.execute(select(Upload.user_id).where(Upload.object_hash == job.hash))).scalars().all()
    change = update(Object).where(Object.hash == job.hash)
    if reason:
        await connection.execute(change.values(state=FAILED, reason=reason))
        await events.object_failed(connection, job, user_ids, reason)
        await publishing.report_failed(connection, job.hash, reason)
    elif (await connection.execute(left)).one_or_none() is None:
        await connection.execute(change.values(state=READY))
        await events.object_ready(connection, job, user_ids)
        await publishing.publish_waiting(connection, job.hash)
