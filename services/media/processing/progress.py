"""Follows a conversion: writes its progress into the job and reports it to the uploaders."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from sqlalchemy import Row, func, update
from sqlalchemy.exc import SQLAlchemyError

from services.media.models import Job
from services.media.processing.progress_frames import push_progress
from services.media.resources import Resources

EVERY = 1.0  # seconds between two looks


@asynccontextmanager
async def following(service: Resources, job: Row[Any], path: Path) -> AsyncIterator[None]:
    """While the block runs, `job.progress` grows with what the child writes to `path`."""
    task = asyncio.create_task(_follow(service, job, path))
    try:
        yield
    finally:
        task.cancel()


async def _follow(service: Resources, job: Row[Any], path: Path) -> None:
    known = 0
    while True:
        await asyncio.sleep(EVERY)
        if (percent := read(path)) > known:
            known = percent
            grown = update(Job).where(Job.object_hash == job.hash, Job.profile == job.profile)
            with suppress(SQLAlchemyError):
                async with service.database.transaction() as connection:
                    await connection.execute(grown.values(progress=func.greatest(Job.progress, percent)))
            await push_progress(service, job.hash)


def read(path: Path) -> int:
    """Per cent, at most 99; 0 for a file that is not there, or holds no number. Follows no link that a child left."""
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
            return max(0, min(99, int(float(file.read(16)) * 100)))
    except (OSError, ValueError, OverflowError):
        return 0
