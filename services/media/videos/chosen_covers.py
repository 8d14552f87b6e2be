"""Covers at a time of the video that its owner chose.

`video.cover_at` keeps the time. A job makes the picture, as a derivative of the video's file, and shows it as the cover
of each video that still wants it; until then the cover before is shown.
"""

import re
from typing import Any

from sqlalchemy import Row, delete, exists, select

from services.kit.context import Caller
from services.kit.sql.connection import AsyncConnection
from services.media.files.job_queue import add_job
from services.media.files.references import drop_unused
from services.media.models import Derivative, Job, Object, ObjectReference
from services.media.videos.cards import OURS
from services.media.videos.models import Video
from services.media.videos.videos import get_cards, write_changes

PROFILE = re.compile("cover-at-([0-9]+)")  # milliseconds
KIND = "cover-at"


def time_in(profile: str) -> int | None:
    """The milliseconds in the profile of such a cover; None for any other profile."""
    found = PROFILE.fullmatch(profile)
    return int(found[1]) if found else None


async def choose(connection: AsyncConnection, caller: Caller, video_id: int) -> Any:
    """Has the cover made that `cover_at` of a video asks for, or shows it if it was made before. Returns the video."""
    video = (await connection.execute(select(Video.__table__).where(Video.id == video_id))).one()
    profile = f"{KIND}-{video.cover_at}"
    if url := await _url_of(connection, video.object_hash, profile):
        await _show(connection, video, url)
    else:
        await add_job(connection, video.object_hash, profile)
    return (await get_cards(connection, caller, [video_id]))[0]


async def show_made(connection: AsyncConnection, object_hash: str, profile: str) -> None:
    """Call it when the job has made the picture, before locking the object: everybody locks videos first."""
    wanting = select(Video.__table__).where(Video.object_hash == object_hash, Video.cover_at == time_in(profile))
    videos = (await connection.execute(wanting.order_by(Video.id).with_for_update(key_share=True))).all()
    if url := await _url_of(connection, object_hash, profile):
        for video in videos:
            await _show(connection, video, url)
    await _drop_unwanted(connection, object_hash)


async def _url_of(connection: AsyncConnection, object_hash: str, profile: str) -> str:
    made = select(Object.hash + "." + Object.extension).join(Derivative, Derivative.object_hash == Object.hash)
    of = (Derivative.source_hash == object_hash, Derivative.profile == profile)
    file = (await connection.execute(made.where(*of))).scalar_one_or_none()
    return f"{OURS}{file}" if file else ""


async def _show(connection: AsyncConnection, video: Row[Any], url: str) -> None:
    if video.cover_url != url:
        await write_changes(connection, video, {"cover_url": url})


async def _drop_unwanted(connection: AsyncConnection, object_hash: str) -> None:
    """Deletes the covers at other times that no video shows any more."""
    shown = exists().where(ObjectReference.object_hash == Derivative.object_hash)
    awaited = exists().where(
        Job.object_hash == Derivative.source_hash, Job.profile == Derivative.profile, Job.due_at.is_not(None)
    )
    of = (Derivative.source_hash == object_hash, Derivative.profile.like(f"{KIND}-%"))
    gone = delete(Derivative).where(*of, ~shown, ~awaited).returning(Derivative.profile, Derivative.object_hash)
    rows = (await connection.execute(gone)).all()
    ended = (Job.object_hash == object_hash, Job.profile.in_([row.profile for row in rows]), Job.due_at.is_(None))
    await connection.execute(delete(Job).where(*ended))
    for row in rows:
        await drop_unused(connection, row.object_hash)
