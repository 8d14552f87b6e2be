"""How far the processing of a file is, as its uploader is told."""

from typing import Any, NamedTuple

from sqlalchemy import select

from services.kit.sql.connection import AsyncConnection
from services.media.files.ingest import PROFILES
from services.media.models import FAILED, READY, Job

COVER_PERCENT = 5  # of all that is done until a video is ready
COVER, PLAYBACK = PROFILES


class Progress(NamedTuple):
    percent: int
    stage: str


async def progress_of(connection: AsyncConnection, row: Any) -> Progress:
    """`row`: of `object`. The stage is `waiting`, `cover`, `encoding`, `ready` or `failed`, or `sizes`: it can be
    played, and better versions are made."""
    columns = (Job.profile, Job.progress, Job.started_at, Job.due_at)
    jobs = {job.profile: job for job in await connection.execute(select(*columns).where(Job.object_hash == row.hash))}
    if row.state == READY:
        return Progress(100, "sizes" if any(job.due_at for job in jobs.values()) else "ready")
    cover, playback = jobs.get(COVER), jobs.get(PLAYBACK)
    percent = round(COVER_PERCENT * _share(cover) + (100 - COVER_PERCENT) * _share(playback))
    if row.state == FAILED:
        return Progress(min(percent, 99), "failed")
    begun = [
        stage for stage, job in (("encoding", playback), ("cover", cover)) if job and job.due_at and job.started_at
    ]
    return Progress(min(percent, 99), begun[0] if begun else "waiting")


def _share(job: Any) -> float:
    if job is None:
        return 0
    return 1.0 if job.due_at is None else float(job.progress / 100)
