"""What a job makes of a video: by a child, then stored as objects of their own, tied to the video.

The profile `cover` is a picture and `playback` an MP4 that browsers play. Of a video that had to be encoded for that
`playback` makes two more: `segments`, the same in fragments, and `hls`, the playlist of them.
"""

from contextlib import ExitStack
from pathlib import Path
from typing import Any

from sqlalchemy import Row, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from services.media.config import MIB
from services.media.files import ingest, probe, references
from services.media.files.filetypes import TYPES
from services.media.files.probe import Facts
from services.media.models import Derivative, Object
from services.media.processing.playlists import playlist
from services.media.resources import Resources
from services.media.storage import measure
from services.objectstore.store import key_of

MEMORY_MEGABYTES = 2_048


async def make(service: Resources, job: Row[Any]) -> None:
    """Of a job with its object. Raises FileBroken and the like, Unavailable, FileNotFoundError."""
    with ExitStack() as stack:
        target, cuts, listed = (service.storage.new_path() for _ in range(3))
        for path in (target, cuts, listed):
            stack.callback(path.unlink, missing_ok=True)
        made = await _convert(service, job, target, cuts)
        if made["extension"]:
            facts = await probe.probe(service.settings, target, TYPES[made["extension"]])
            await _keep(service, job.hash, job.profile, target, facts)
            if facts.blurhash:
                await _describe(service, job.hash, facts.blurhash)
        if segments := made.get("segments"):
            file = await _keep(service, job.hash, "segments", cuts, facts)
            listed.write_text(playlist(file, segments))
            await _keep(service, job.hash, "hls", listed, Facts(TYPES["m3u8"], duration=facts.duration))


async def _describe(service: Resources, hash: str, blurhash: str) -> None:
    """A video's blurhash is its cover's."""
    async with service.database.transaction() as connection:
        await connection.execute(update(Object).where(Object.hash == hash).values(blurhash=blurhash))


async def _convert(service: Resources, job: Row[Any], target: Path, cuts: Path) -> dict[str, Any]:
    settings = service.settings
    async with service.storage.local(key_of(f"{job.hash}.{job.extension}")) as source:
        request = {
            "profile": job.profile,
            "source": str(source),
            "extension": job.extension,
            "target": str(target),
            "cuts": str(cuts),
            "cpu_seconds": settings.job_seconds * 2,
            "memory_megabytes": MEMORY_MEGABYTES,
            "file_megabytes": 2 * settings.max_video_bytes // MIB + 16,
        }
        made = await probe.run_child("conversion", request, settings.job_seconds)
    if "refused" in made:
        raise probe.REFUSALS[made["refused"]](made["detail"])
    return made


async def _keep(service: Resources, source: str, profile: str, path: Path, facts: Facts) -> str:
    """The name of the file that it is now."""
    file = await measure(path)

    async def derive(connection: AsyncConnection) -> None:
        """In place of what an attempt made that was broken off, should that be other bytes."""
        of = (Derivative.source_hash == source, Derivative.profile == profile)
        before = (await connection.execute(select(Derivative.object_hash).where(*of))).scalar_one_or_none()
        row = insert(Derivative).values(source_hash=source, profile=profile, object_hash=file.hash)
        values = {"object_hash": row.excluded.object_hash}
        await connection.execute(row.on_conflict_do_update(index_elements=["source_hash", "profile"], set_=values))
        if before not in (None, file.hash):
            await references.drop_unused(connection, before)

    details = await ingest.store(service, file, facts, derive)
    return f"{details.row.hash}.{details.row.extension}"
