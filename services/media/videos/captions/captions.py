"""Captions of videos: one WebVTT file for each language, and what players of HLS need of it.

All files are objects that the video refers to, as private as it is and deleted with it. They are stored before the
transaction that shows them. `video.captioned_hls` is the video's master playlist with its captions in it.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from itertools import accumulate
from typing import Any, NamedTuple

from sqlalchemy import Row, delete, exists, func, select, update
from sqlalchemy.dialects.postgresql import insert

from services.kit.context import Caller
from services.kit.sql.connection import AsyncConnection
from services.media import events
from services.media.errors import (
    CaptionsInvalid,
    LanguageInvalid,
    NotPermitted,
    Overloaded,
    TooManyCaptions,
    VideoNotFound,
)
from services.media.files import ingest
from services.media.files.filetypes import TYPES
from services.media.files.probe import Facts
from services.media.models import PUBLIC, Derivative, Object, ObjectReference
from services.media.resources import Resources
from services.media.storage import measure
from services.media.videos import videos
from services.media.videos.captions import playlists, webvtt
from services.media.videos.captions.playlists import Rendition
from services.media.videos.models import Caption, Video
from services.media.videos.visibility import lock_visible
from services.objectstore.store import key_of

MOST, MAX_LABEL = 20, 50  # languages of a video; characters
TRIES = 5  # of a change while the video's other captions change, too
# Language, script, region and variants of BCP 47; extensions and private use are left out.
TAG = re.compile(
    r"([a-z]{2,3})(-[a-z]{4})?(-(?:[a-z]{2}|[0-9]{3}))?((?:-(?:[a-z0-9]{5,8}|[0-9][a-z0-9]{3})){0,2})",
    re.IGNORECASE | re.ASCII,
)
Renditions = dict[str, Rendition]  # by language


class State(NamedTuple):
    """The parts of a master playlist with captions."""

    base: str  # the name of the playlist without captions; "" while there is none
    captions: dict[str, Row[Any]]  # by language


async def set_captions(service: Resources, caller: Caller, video_id: int, language: str, label: str, text: str) -> Any:
    """Adds or replaces the captions of one language; returns the video.

    Raises CaptionsInvalid, CaptionsTooLarge, LanguageInvalid, TooManyCaptions, VideoNotFound, NotPermitted,
    StoreUnavailable, Overloaded.
    """
    language, label = normalise(language), check_label(label)
    cues = await asyncio.to_thread(webvtt.parse, text)
    async with service.database.transaction() as connection:
        await _read_own(connection, caller, video_id)
        duration = await _duration(connection, video_id)
    files = await _store_cues(service, video_id, cues, duration)
    values = {"label": label or language, **files}

    def alter(renditions: Renditions) -> Renditions:
        if language not in renditions and len(renditions) >= MOST:
            raise TooManyCaptions
        return renditions | {language: Rendition(language, values["label"], files["playlist_hash"] + ".m3u8")}

    async def add(connection: AsyncConnection) -> None:
        row = insert(Caption).values(video_id=video_id, language=language, **values)
        keys = ["video_id", "language"]
        await connection.execute(row.on_conflict_do_update(index_elements=keys, set_=values))

    return await _change(service, caller, video_id, alter, add)


async def delete_captions(service: Resources, caller: Caller, video_id: int, language: str) -> Any:
    """Repeating it changes nothing. Returns the video. Raises LanguageInvalid, VideoNotFound, NotPermitted,
    StoreUnavailable, Overloaded."""
    language = normalise(language)

    def alter(renditions: Renditions) -> Renditions:
        return {name: rendition for name, rendition in renditions.items() if name != language}

    async def remove(connection: AsyncConnection) -> None:
        await connection.execute(delete(Caption).where(Caption.video_id == video_id, Caption.language == language))

    return await _change(service, caller, video_id, alter, remove)


async def follow_playlist(service: Resources, source: str) -> None:
    """Call it after the playlist of a file was replaced: the videos that show it with captions get theirs anew.

    Raises StoreUnavailable, Overloaded.
    """

    async def nothing(_: AsyncConnection) -> None:
        pass

    captioned = exists().where(Caption.video_id == Video.id)
    shown = select(Video.id, Video.owner_id).where(Video.object_hash == source, captioned, Video.deleted_at.is_(None))
    async with service.database.transaction() as connection:
        rows = (await connection.execute(shown)).all()
    for row in rows:
        with suppress(VideoNotFound):  # deleted meanwhile
            await _change(service, Caller(row.owner_id), row.id, dict, nothing)


async def _change(
    service: Resources,
    caller: Caller,
    video_id: int,
    alter: Callable[[Renditions], Renditions],
    change: Callable[[AsyncConnection], Awaitable[None]],
) -> Any:
    """Makes the change, with a master playlist that has the altered renditions. Raises Overloaded if the video's other
    captions, or its playlist, keep changing meanwhile."""
    for _ in range(TRIES):
        async with service.database.transaction() as connection:
            state = await _read_own(connection, caller, video_id)
        master = await _store_master(service, video_id, state.base, list(alter(_renditions(state)).values()))
        async with service.database.transaction() as connection:
            video = await lock_visible(connection, caller, video_id)
            if await _read(connection, video_id) != state:
                continue
            before = await videos.files_of(connection, video)
            await change(connection)
            await _show(connection, video, before, master[:64] or None)
            return (await videos.get_cards(connection, caller, [video_id]))[0]
    raise Overloaded


async def _show(connection: AsyncConnection, video: Any, before: set[str], master: str | None) -> None:
    statement = update(Video).where(Video.id == video.id).values(captioned_hls=master, updated_at=func.now())
    changed = (await connection.execute(statement.returning(Video.__table__))).one()
    await videos.refer_anew(connection, before, changed, private=video.visibility != PUBLIC)
    await events.video_updated(connection, changed, video.owner_id)


async def _store_cues(service: Resources, video_id: int, cues: Sequence[webvtt.Cue], duration: int) -> dict[str, str]:
    """The hashes of the captions' files, by column."""
    whole = await _store(service, video_id, webvtt.write(cues), "vtt")
    pieces = [(piece.encode(), seconds) for piece, seconds in webvtt.segments(cues, duration)]
    starts = accumulate((len(piece) for piece, _ in pieces), initial=0)
    spans = [(start, len(piece), seconds) for start, (piece, seconds) in zip(starts, pieces, strict=False)]
    segments = await _store(service, video_id, b"".join(piece for piece, _ in pieces).decode(), "vtt")
    playlist = await _store(service, video_id, playlists.playlist(segments, spans), "m3u8")
    return {"object_hash": whole[:64], "segments_hash": segments[:64], "playlist_hash": playlist[:64]}


async def _store_master(service: Resources, video_id: int, base: str, renditions: Sequence[Rendition]) -> str:
    if not base or not renditions:
        return ""
    text = b"".join([chunk async for chunk in service.storage.read(key_of(base))]).decode()
    renditions = sorted(renditions, key=lambda rendition: rendition.language)
    return await _store(service, video_id, playlists.master(text, base, renditions), "m3u8")


def _renditions(state: State) -> Renditions:
    return {
        language: Rendition(language, row.label, f"{row.playlist_hash}.m3u8")
        for language, row in state.captions.items()
    }


async def _read_own(connection: AsyncConnection, caller: Caller, video_id: int) -> State:
    """Raises VideoNotFound, NotPermitted."""
    video = await lock_visible(connection, caller, video_id)
    if video.owner_id != caller.user_id:
        raise NotPermitted
    return await _read(connection, video_id)


async def _duration(connection: AsyncConnection, video_id: int) -> int:
    """Milliseconds; 0 if it is not known."""
    length = select(Object.duration).join(Video, Video.object_hash == Object.hash).where(Video.id == video_id)
    return (await connection.execute(length)).scalar_one_or_none() or 0


async def _read(connection: AsyncConnection, video_id: int) -> State:
    made = select(Derivative.object_hash).join(Video, Video.object_hash == Derivative.source_hash)
    base = await connection.execute(made.where(Video.id == video_id, Derivative.profile == "hls"))
    hash = base.scalar_one_or_none()
    rows = (await connection.execute(select(Caption.__table__).where(Caption.video_id == video_id))).all()
    return State(f"{hash}.m3u8" if hash else "", {row.language: row for row in rows})


async def _store(service: Resources, video_id: int, text: str, extension: str) -> str:
    """Stores a text as an object that the video refers to; returns its name."""

    async def refer(connection: AsyncConnection) -> None:
        owner = (Video.id, Video.visibility, Video.owner_id)
        is_live = (Video.id == video_id, Video.deleted_at.is_(None))
        video = (await connection.execute(select(*owner).where(*is_live))).one_or_none()
        if video is None:
            raise VideoNotFound
        about = {"video_id": video.id, "visibility": video.visibility, "owner_id": video.owner_id}
        row = insert(ObjectReference).values(object_hash=file.hash, **about)
        await connection.execute(row.on_conflict_do_nothing())

    with service.storage.scratch() as path:
        await asyncio.to_thread(path.write_text, text)
        file = await measure(path)
        details = await ingest.store(service, file, Facts(TYPES[extension]), refer)
    return f"{details.row.hash}.{details.row.extension}"


def normalise(language: str) -> str:
    """The tag as BCP 47 recommends to write it, such as `zh-Hant-TW`. Raises LanguageInvalid."""
    found = TAG.fullmatch(language)
    if not found:
        raise LanguageInvalid
    main, script, region, variants = (part or "" for part in found.groups())
    return main.lower() + script.title() + region.upper() + variants.lower()


def check_label(label: str) -> str:
    """Raises CaptionsInvalid for a name that is too long, or would end the quotes of a playlist."""
    label = label.strip()
    if len(label) > MAX_LABEL or '"' in label or not label.isprintable():
        raise CaptionsInvalid(field="label")
    return label
