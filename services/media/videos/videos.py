"""Videos: publish, change, delete and read them."""

import secrets
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import Row, and_, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.orm import aliased

from services.kit.context import Caller
from services.media import events
from services.media.errors import NotPermitted, VideoInvalid
from services.media.files import objects
from services.media.files.references import release_objects
from services.media.models import PRIVATE, PUBLIC, Derivative, Object, ObjectReference
from services.media.pages import check_batch
from services.media.videos.counters import move_video
from services.media.videos.models import ADMIN, Video
from services.media.videos.text_search import video_words
from services.media.videos.visibility import lock_visible, visible_to

MAX_TITLE, MAX_DESCRIPTION, MAX_TYPE, MAX_URL = 100, 500, 20, 2_048  # characters
OURS = "/media/"

_cover, _cover_file = aliased(Derivative), aliased(Object)
_playback, _playback_file = aliased(Derivative), aliased(Object)
_hls = aliased(Derivative)
# A video with what processing made of its file, if anything.
CARDS = (
    select(
        Video.__table__,
        (_cover_file.hash + "." + _cover_file.extension).label("cover_file"),
        (_playback_file.hash + "." + _playback_file.extension).label("playback_file"),
        (_hls.object_hash + ".m3u8").label("hls_file"),
    )
    .outerjoin(_cover, and_(_cover.source_hash == Video.object_hash, _cover.profile == "cover"))
    .outerjoin(_cover_file, _cover_file.hash == _cover.object_hash)
    .outerjoin(_playback, and_(_playback.source_hash == Video.object_hash, _playback.profile == "playback"))
    .outerjoin(_playback_file, _playback_file.hash == _playback.object_hash)
    .outerjoin(_hls, and_(_hls.source_hash == Video.object_hash, _hls.profile == "hls"))
)


async def create_video(connection: AsyncConnection, caller: Caller, video_id: int, fields: dict[str, Any]) -> Row[Any]:
    """The video, which the caller owns. Raises VideoInvalid, and ObjectNotFound for a file he may not show."""
    values = _check(fields)
    if not values.get("title") or not values.get("video_url"):
        raise VideoInvalid("title and video_url")
    files = await _require_files(connection, caller, values)
    row = insert(Video).values(
        id=video_id,
        owner_id=caller.user_id,
        object_hash=files.get("video_url"),
        random_key=secrets.randbits(63),
        words=video_words(values["title"], values.get("description", "")),
        **values,
    )
    video: Row[Any] = (await connection.execute(row.returning(Video.__table__))).one()
    await _refer(connection, video, files.values())
    await move_video(connection, video_id, caller.user_id, new=video.visibility)
    await events.video_published(connection, video)
    return (await get_cards(connection, caller, [video_id]))[0]


async def update_video(
    connection: AsyncConnection, caller: Caller, video_id: int, changes: dict[str, Any], private: bool | None
) -> Row[Any]:
    """The video, with the given ones changed of `title, description, cover_url, visibility`; `private` False: not to
    be private.

    Raises VideoInvalid, VideoNotFound, NotPermitted, ObjectNotFound.
    """
    video = await lock_visible(connection, caller, video_id)
    if video.owner_id != caller.user_id:
        raise NotPermitted
    values = _check(changes)
    if "title" in values and not values["title"]:
        raise VideoInvalid("title")
    if private is not None and "visibility" not in values and private != (video.visibility == PRIVATE):
        values["visibility"] = PRIVATE if private else PUBLIC
    values = {name: value for name, value in values.items() if value != getattr(video, name)}
    if values:
        await _require_files(connection, caller, values)
        await _write_changes(connection, video, values)
    return (await get_cards(connection, caller, [video_id]))[0]


async def _write_changes(connection: AsyncConnection, video: Any, values: dict[str, Any]) -> None:
    words = video_words(values.get("title", video.title), values.get("description", video.description))
    statement = update(Video).where(Video.id == video.id).values(words=words, updated_at=func.now(), **values)
    changed = (await connection.execute(statement.returning(Video.__table__))).one()
    shown = delete(ObjectReference).where(ObjectReference.video_id == video.id).returning(ObjectReference.object_hash)
    hashes = (await connection.execute(shown)).scalars().all()
    await _refer(connection, changed, _hashes(changed))
    await release_objects(connection, video.owner_id, hashes, private=video.visibility != PUBLIC)
    await move_video(connection, video.id, video.owner_id, old=video.visibility, new=changed.visibility)
    await events.video_updated(connection, changed, video.owner_id)


async def delete_video(connection: AsyncConnection, caller: Caller, video_id: int) -> int:
    """Of its owner, whom it names; one that he deleted already stays so. Raises VideoNotFound, NotPermitted."""
    gone = select(Video.id).where(Video.id == video_id, Video.owner_id == caller.user_id, Video.deleted_at.is_not(None))
    if (await connection.execute(gone)).first():
        return caller.user_id
    video = await lock_visible(connection, caller, video_id)
    if video.owner_id != caller.user_id and caller.role < ADMIN:
        raise NotPermitted
    await erase(connection, video, caller.user_id)
    return int(video.owner_id)


async def erase(connection: AsyncConnection, video: Any, actor_id: int) -> None:
    """Empties a locked video. Its comments and likes can be reached through it only."""
    blank: dict[str, Any] = {"title": "", "description": "", "video_url": "", "cover_url": "", "object_hash": None}
    statement = update(Video).where(Video.id == video.id)
    await connection.execute(statement.values(deleted_at=func.now(), words=video_words(""), **blank))
    shown = delete(ObjectReference).where(ObjectReference.video_id == video.id).returning(ObjectReference.object_hash)
    hashes = (await connection.execute(shown)).scalars().all()
    await release_objects(connection, video.owner_id, hashes, private=video.visibility != PUBLIC)
    await move_video(connection, video.id, video.owner_id, old=video.visibility)
    await events.video_deleted(connection, video, actor_id)


async def get_cards(connection: AsyncConnection, viewer: Caller, video_ids: Sequence[int]) -> list[Row[Any]]:
    """Those that the viewer may see, in the order asked for. Raises BatchTooLarge."""
    check_batch(video_ids)
    rows = await connection.execute(CARDS.where(Video.id.in_(video_ids), visible_to(viewer)))
    found = {row.id: row for row in rows}
    return [found[id] for id in dict.fromkeys(video_ids) if id in found]


def _check(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields as stored. Raises VideoInvalid."""
    values = dict(fields)
    limits = {"title": MAX_TITLE, "description": MAX_DESCRIPTION, "type": MAX_TYPE}
    for name in limits.keys() & values.keys():
        if name != "description":
            values[name] = values[name].strip()
        if len(values[name]) > limits[name] or "\0" in values[name]:
            raise VideoInvalid(name)
    for name in {"video_url", "cover_url"} & values.keys():
        if values[name] and not _is_address(values[name]):
            raise VideoInvalid(name)
    return values


def _is_address(url: str) -> bool:
    """A file of ours, or what a front end may load from elsewhere."""
    if url.startswith(OURS):
        return objects.HASH.match(url.removeprefix(OURS)) is not None
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return len(url) <= MAX_URL and parts.scheme in ("http", "https") and bool(parts.hostname) and url.isprintable()


def hash_of(url: str) -> str | None:
    """Of a file of ours."""
    return url.removeprefix(OURS)[:64] if url.startswith(OURS) else None


def _hashes(video: Any) -> set[str]:
    return {hash for hash in (video.object_hash, hash_of(video.cover_url)) if hash}


async def _require_files(connection: AsyncConnection, caller: Caller, values: dict[str, Any]) -> dict[str, str]:
    """The hashes of the files among the values, which are written as the objects are named.

    Raises ObjectNotFound for what the caller may not show.
    """
    files = {name: hash for name in ("video_url", "cover_url") if (hash := hash_of(values.get(name, "")))}
    if files:
        await objects.require_visible(connection, caller, list(files.values()))
        query = select(Object.hash, Object.extension).where(Object.hash.in_(files.values()))
        extensions = dict((await connection.execute(query)).all())
        values |= {name: f"{OURS}{hash}.{extensions[hash]}" for name, hash in files.items()}
    return files


async def _refer(connection: AsyncConnection, video: Any, hashes: Any) -> None:
    about = {"video_id": video.id, "visibility": video.visibility, "owner_id": video.owner_id}
    rows = [{"object_hash": hash, **about} for hash in sorted(set(hashes))]
    if rows:
        await connection.execute(insert(ObjectReference), rows)
