"""Metrics of queued work and of disk space."""

import asyncio
import shutil

from prometheus_client import Gauge
from sqlalchemy import text

from services.kit.db import Database
from services.kit.events.queue_metrics import watch
from services.media.storage import Storage

JOBS = Gauge("hitok_media_jobs_open", "Jobs of processing not ended, up to 10,000", ["state"])
OLDEST_JOB = Gauge("hitok_media_job_wait_seconds", "How long the first job in the queue has been due")
UPLOADS = Gauge("hitok_media_uploads_open", "Resumable uploads not finished, up to 10,000")
OLDEST_DELETION = Gauge("hitok_media_deletion_wait_seconds", "Age of the oldest file still to be deleted")
BACKUP = Gauge("hitok_backup_timestamp_seconds", "When the last whole backup began, Unix time; 0: there is none")
DISK_FREE = Gauge("hitok_media_disk_free_bytes", "Room where uploads are received")
DISK_SIZE = Gauge("hitok_media_disk_size_bytes", "Size of the disk where uploads are received")

LOOK = text("""SELECT
 (SELECT count(*) FROM (SELECT FROM job WHERE due_at <= now() LIMIT 10000) AS found) AS due,
 (SELECT count(*) FROM (SELECT FROM job WHERE due_at > now() LIMIT 10000) AS found) AS held,
 (SELECT count(*) FROM (SELECT FROM partial_upload WHERE object_hash IS NULL LIMIT 10000) AS found) AS uploads,
 coalesce((SELECT extract(epoch FROM now() - min(due_at)) FROM job WHERE due_at <= now()), 0) AS wait,
 coalesce((SELECT extract(epoch FROM now() - created_at) FROM deletion ORDER BY id LIMIT 1), 0) AS deletion,
 coalesce((SELECT extract(epoch FROM max(began_at)) FROM backup), 0) AS backup""")


async def watch_media(database: Database, storage: Storage) -> None:
    """Updates the metrics until it is cancelled."""

    async def look() -> None:
        disk = await asyncio.to_thread(shutil.disk_usage, storage.spool)
        DISK_FREE.set(disk.free)
        DISK_SIZE.set(disk.total)
        async with database.looking, database.reading() as connection:
            found = (await connection.execute(LOOK)).one()
        JOBS.labels("due").set(found.due)
        JOBS.labels("held").set(found.held)  # held by a worker, or postponed after a failure
        UPLOADS.set(found.uploads)
        OLDEST_JOB.set(found.wait)
        OLDEST_DELETION.set(found.deletion)
        BACKUP.set(found.backup)

    await watch(look)
