"""The processing of videos after their upload, by any number of workers in any number of processes.

The table `job` is the queue:

- A job is written in the transaction that writes its object, so none is lost.
- A worker takes a job by moving its `due_at` into the future, and moves it again while it works. If the worker is
  killed, the job falls due again.
- The result is committed together with the end of the job, so nothing is made twice.

A JetStream work queue would need the same, since its acknowledgement is not part of a commit.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

import structlog
from prometheus_client import Counter
from sqlalchemy import Row, case, func, literal, select, text, tuple_, update
from sqlalchemy.exc import SQLAlchemyError

from services.kit import background
from services.kit.errors import HitokError, Unavailable
from services.kit.sql.connection import AsyncConnection
from services.media import events
from services.media.errors import FileBroken, ProcessingInterrupted
from services.media.files.ingest import ANIMATION, PROFILES
from services.media.files.job_queue import add_job
from services.media.models import FAILED, PROCESSING, READY, Job, Object, Upload
from services.media.processing import derivatives
from services.media.processing.progress_frames import push_progress
from services.media.resources import Resources
from services.media.videos import chosen_covers, publishing

POLL = 10.0  # seconds between looks for jobs of workers that died; a new job wakes a worker
AGAIN = 2.0  # seconds after a failure
FAIR = text("interval '1 hour'")  # how far back `_next` looks for whom it served
ATTEMPTS = 3  # workers that may die of a job before it fails

DONE = Counter("hitok_media_jobs", "Jobs ended", ["profile", "outcome"])
for profile in (*PROFILES, ANIMATION, derivatives.STORYBOARD, derivatives.LADDER, derivatives.HDR, chosen_covers.KIND):
    for outcome in ("done", "failed"):
        DONE.labels(profile, outcome)
log = structlog.get_logger("processing")


@asynccontextmanager
async def processing(service: Resources) -> AsyncIterator[None]:
    """Runs the workers while the block runs. When it ends, unfinished jobs are given back."""
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
            await asyncio.sleep(AGAIN)


async def _take(service: Resources) -> Row[Any] | None:
    """Takes one due job, with its object, for `lease_seconds`."""
    held = (
        update(Job)
        .where(tuple_(Job.object_hash, Job.profile).in_(_next()))
        .where(Object.hash == Job.object_hash)
        .values(due_at=_after(service.settings.lease_seconds), started_at=func.now(), attempts=Job.attempts + 1)
        .returning(Job.profile, Job.attempts, Object.__table__)
    )
    async with service.database.transaction() as connection:
        job: Row[Any] | None = (await connection.execute(held)).one_or_none()
        return job


def _next() -> Any:
    """The job to take: covers first, then `playback`, then storyboards and ladders.

    Among jobs of one kind the uploader who was served least recently goes first, so that many uploads of one user delay
    another user by one job at most.
    """
    is_cover = Job.profile.like(f"{PROFILES[0]}%")
    rank = case(
        (is_cover, 0), *((Job.profile == profile, n) for n, profile in enumerate(PROFILES)), else_=len(PROFILES)
    )
    recent = (
        select(Upload.user_id, func.max(Job.started_at).label("served_at"))
        .join(Job, Job.object_hash == Upload.object_hash)
        .where(Job.started_at > func.now() - FAIR, ~is_cover)
        .group_by(Upload.user_id)
        .cte("recent")
    )
    served = (
        select(func.max(recent.c.served_at))
        .join(Upload, Upload.user_id == recent.c.user_id)
        .where(Upload.object_hash == Job.object_hash)
        .scalar_subquery()
    )
    due = select(Job.object_hash, Job.profile).where(Job.due_at <= func.now())
    return due.order_by(rank, served.nulls_first(), Job.due_at).limit(1).with_for_update(skip_locked=True, of=Job)


def _after(seconds: float) -> Any:
    return func.now() + text("interval '1 second'") * literal(seconds)


async def _do(service: Resources, job: Row[Any]) -> None:
    """Does the job, and ends it as done or failed. If something needed is away, or the worker stops, the job is given
    back."""
    reason = ""
    following: Sequence[str] = ()
    try:
        async with _holding(service, job):
            if job.attempts > ATTEMPTS:
                raise FileBroken("every worker died of it")
            await push_progress(service, job.hash)
            following = await derivatives.make(service, job)
    except ProcessingInterrupted as error:
        log.warning("job was interrupted", hash=job.hash, profile=job.profile, detail=str(error)[:300])
        if job.attempts < ATTEMPTS:
            await _give_back(service, job, 2.0**job.attempts, is_counted=True)
            return
        reason = FileBroken().reason
    except (Unavailable, OSError, SQLAlchemyError) as error:
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
    kind = job.profile if chosen_covers.time_in(job.profile) is None else chosen_covers.KIND
    DONE.labels(kind, "failed" if reason else "done").inc()
    async with service.database.transaction() as connection:
        await _end(connection, job, reason, following)
    await push_progress(service, job.hash)
    if following:
        service.job_ready.set()


@asynccontextmanager
async def _holding(service: Resources, job: Row[Any]) -> AsyncIterator[None]:
    """Renews the lease while the block runs, so that no other worker takes the job."""

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


async def _give_back(service: Resources, job: Row[Any], seconds: float, is_counted: bool = False) -> None:
    """Makes the job due again in so many seconds. Only attempts that may have failed because of the file count."""
    attempts = job.attempts if is_counted else job.attempts - 1
    async with service.database.transaction() as connection:
        await connection.execute(_of(job).values(due_at=_after(seconds), attempts=attempts))
    asyncio.get_running_loop().call_later(seconds, service.job_ready.set)


async def _end(connection: AsyncConnection, job: Row[Any], reason: str, following: Sequence[str] = ()) -> None:
    """Ends the job. Its object is ready once its last job is done, and failed once a job failed; the uploaders get an
    event.

    The `following` jobs only add better versions: they do not change the object's state.
    """
    await publishing.lock_waiting(connection, job.hash)
    if chosen_covers.time_in(job.profile) is not None:
        await chosen_covers.show_made(connection, job.hash, job.profile)
    state = select(Object.state).where(Object.hash == job.hash).with_for_update(key_share=True)
    processed = (await connection.execute(state)).scalar_one_or_none() == PROCESSING  # none: deleted meanwhile
    ended = await connection.execute(_of(job).values(due_at=None, reason=reason).returning(Job.profile))
    if ended.one_or_none() is None:
        return
    for profile in following:
        await add_job(connection, job.hash, profile)
    if not processed or job.profile not in PROFILES:
        return
    left = (
        select(Job.profile)
        .where(Job.object_hash == job.hash, Job.due_at.is_not(None), Job.profile.in_(PROFILES))
        .limit(1)
    )
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
