"""Videos: publish, change, delete and read them."""

import secrets
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import Row, and_, case, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.orm import aliased

from services.kit.context import Caller
from services.kit.pages import check_batch
from services.kit.roles import is_admin
from services.media import events
from services.media.errors import FileUnplayable, NotPermitted, VideoInvalid
from services.media.files import objects
from services.media.files.filetypes import IMAGE, VIDEO
from services.media.files.references import release_objects
from services.media.models import FAILED, PRIVATE, PROCESSING, PUBLIC, READY, Derivative, Object, ObjectReference
from services.media.videos.list_totals import move_video
from services.media.videos.models import Video
from services.media.videos.text_search import video_words
from services.media.videos.visibility import lock_visible, visible_to

MAX_TITLE, MAX_DESCRIPTION, MAX_TYPE, MAX_URL = 100, 500, 20, 2_048  # characters
OURS = "/media/"
HASH_IN_URL = (len(OURS) + 1, 64)  # of a path of ours: where the hash begins, and its length

_file, _own_cover = aliased(Object), aliased(Object)
_cover, _cover_file = aliased(Derivative), aliased(Object)
_playback, _playback_file = aliased(Derivative), aliased(Object)
_hls, _storyboard = aliased(Derivative), aliased(Derivative)


def _of_cover(made: Any, own: Any, unknown: object) -> Any:
    """A fact of the cover that is shown: the one made of the video, or the one at `cover_url`, which may be an outside
    url, of which nothing is known."""
    return func.coalesce(case((Video.cover_url == "", made), else_=own), unknown)


# A video with its file and what processing made of it, if anything. An outside url has no file, and is ready.
CARDS = (
    select(
        Video.__table__,
        func.coalesce(_file.kind, VIDEO).label("kind"),
        func.coalesce(_file.state, READY).label("status"),
        func.coalesce(_file.reason, "").label("reason"),
        _of_cover(func.coalesce(func.nullif(_file.blurhash, ""), _cover_file.blurhash), _own_cover.blurhash, "").label(
            "blurhash"
        ),
        _of_cover(_cover_file.width, _own_cover.width, 0).label("cover_width"),
        _of_cover(_cover_file.height, _own_cover.height, 0).label("cover_height"),
        *(func.coalesce(getattr(_file, name), 0).label(name) for name in ("width", "height", "duration")),
        (_cover_file.hash + "." + _cover_file.extension).label("cover_file"),
        (_playback_file.hash + "." + _playback_file.extension).label("playback_file"),
        (_hls.object_hash + ".m3u8").label("hls_file"),
        (_storyboard.object_hash + ".tiles").label("storyboard_file"),
    )
    .outerjoin(_file, _file.hash == Video.object_hash)
    .outerjoin(_own_cover, and_(Video.cover_url != "", _own_cover.hash == func.substr(Video.cover_url, *HASH_IN_URL)))
    .outerjoin(_cover, and_(_cover.source_hash == Video.object_hash, _cover.profile == "cover"))
    .outerjoin(_cover_file, _cover_file.hash == _cover.object_hash)
    .outerjoin(_playback, and_(_playback.source_hash == Video.object_hash, _playback.profile == "playback"))
    .outerjoin(_playback_file, _playback_file.hash == _playback.object_hash)
    .outerjoin(_hls, and_(_hls.source_hash == Video.object_hash, _hls.profile == "hls"))
    .outerjoin(_storyboard, and_(_storyboard.source_hash == Video.object_hash, _storyboard.profile == "storyboard"))
)


async def create_video(connection: AsyncConnection, caller: Caller, video_id: int, fields: dict[str, Any]) -> Row[Any]:
    """Publishes a video of the caller. While its file is processed only the owner sees it (publishing.py).

    Raises VideoInvalid, FileUnplayable, and ObjectNotFound for a file that the caller did not upload.
    """
    values = _check(fields)
    if not values.get("title") or not values.get("video_url"):
        raise VideoInvalid(field="video_url" if values.get("title") else "title")
    file = await _resolve_files(connection, caller, values)
    if "cover_at" in values:
        await _check_cover_at(connection, values, file.hash if file else None)
    if file is not None and file.state == PROCESSING:
        values |= {"publish_as": values["visibility"], "visibility": PRIVATE}
    row = insert(Video).values(
        id=video_id,
        owner_id=caller.user_id,
        object_hash=file.hash if file else None,
        random_key=secrets.randbits(63),
        words=video_words(values["title"], values.get("description", "")),
        **values,
    )
    video: Row[Any] = (await connection.execute(row.returning(Video.__table__))).one()
    await _refer(connection, video)
    await move_video(connection, video_id, caller.user_id, new=video.visibility)
    if video.publish_as is None:
        await events.video_published(connection, video)
    return (await get_cards(connection, caller, [video_id]))[0]


async def update_video(
    connection: AsyncConnection, caller: Caller, video_id: int, changes: dict[str, Any], private: bool | None
) -> Row[Any]:
    """Changes the given fields among `title, description, cover_url, cover_at, visibility`.

    `private` is what older clients send instead of a visibility; False leaves a video for friends as it is.
    Raises VideoInvalid, VideoNotFound, NotPermitted, ObjectNotFound.
    """
    video = await lock_visible(connection, caller, video_id)
    if video.owner_id != caller.user_id:
        raise NotPermitted
    values = _check(changes)
    if "title" in values and not values["title"]:
        raise VideoInvalid(field="title")
    if "cover_at" in values:
        await _check_cover_at(connection, values, video.object_hash)
    elif "cover_url" in values:
        values["cover_at"] = None
    if video.publish_as is not None and "visibility" in values:
        values["publish_as"] = values.pop("visibility")
    column = "visibility" if video.publish_as is None else "publish_as"
    if private is not None and column not in values and private != (getattr(video, column) == PRIVATE):
        values[column] = PRIVATE if private else PUBLIC
    values = {name: value for name, value in values.items() if value != getattr(video, name)}
    if values:
        await _resolve_files(connection, caller, values)
        await write_changes(connection, video, values)
    return (await get_cards(connection, caller, [video_id]))[0]


async def write_changes(connection: AsyncConnection, video: Any, values: dict[str, Any]) -> None:
    words = video_words(values.get("title", video.title), values.get("description", video.description))
    statement = update(Video).where(Video.id == video.id).values(words=words, updated_at=func.now(), **values)
    changed = (await connection.execute(statement.returning(Video.__table__))).one()
    shown = delete(ObjectReference).where(ObjectReference.video_id == video.id).returning(ObjectReference.object_hash)
    hashes = (await connection.execute(shown)).scalars().all()
    await _refer(connection, changed)
    await release_objects(connection, video.owner_id, hashes, private=video.visibility != PUBLIC)
    await move_video(connection, video.id, video.owner_id, old=video.visibility, new=changed.visibility)
    await events.video_updated(connection, changed, video.owner_id)


async def delete_video(connection: AsyncConnection, caller: Caller, video_id: int) -> int:
    """Returns its owner's id. The owner may delete it again. Raises VideoNotFound, NotPermitted."""
    gone = select(Video.id).where(Video.id == video_id, Video.owner_id == caller.user_id, Video.deleted_at.is_not(None))
    if (await connection.execute(gone)).first():
        return caller.user_id
    video = await lock_visible(connection, caller, video_id, or_own=True)
    if video.owner_id != caller.user_id and not is_admin(caller.role):
        raise NotPermitted
    await erase(connection, video, caller.user_id)
    return int(video.owner_id)


async def erase(connection: AsyncConnection, video: Any, actor_id: int) -> None:
    """Empties a locked video. Its comments and likes can only be reached through it."""
    blank: dict[str, Any] = {"title": "", "description": "", "type": "", "video_url": "", "cover_url": ""}
    blank |= {"object_hash": None, "publish_as": None, "cover_at": None}
    statement = update(Video).where(Video.id == video.id)
    await connection.execute(statement.values(deleted_at=func.now(), words=video_words(""), **blank))
    shown = delete(ObjectReference).where(ObjectReference.video_id == video.id).returning(ObjectReference.object_hash)
    hashes = (await connection.execute(shown)).scalars().all()
    await release_objects(connection, video.owner_id, hashes, private=video.visibility != PUBLIC)
    await move_video(connection, video.id, video.owner_id, old=video.visibility)
    await events.video_deleted(connection, video, actor_id)


async def get_cards(connection: AsyncConnection, viewer: Caller, video_ids: Sequence[int]) -> list[Row[Any]]:
    """Returns the videos that the viewer may see, in the order of `video_ids`. Raises BatchTooLarge."""
    check_batch(video_ids)
    rows = await connection.execute(CARDS.where(Video.id.in_(video_ids), visible_to(viewer)))
    found = {row.id: row for row in rows}
    return [found[id] for id in dict.fromkeys(video_ids) if id in found]


def _check(fields: dict[str, Any]) -> dict[str, Any]:
    """Returns the fields as they are stored. Raises VideoInvalid."""
    values = dict(fields)
    limits = {"title": MAX_TITLE, "description": MAX_DESCRIPTION, "type": MAX_TYPE}
    for name in limits.keys() & values.keys():
        if name != "description":
            values[name] = values[name].strip()
        if len(values[name]) > limits[name] or "\0" in values[name]:
            raise VideoInvalid(field=name)
    for name in {"video_url", "cover_url"} & values.keys():
        if values[name] and not _is_address(values[name]):
            raise VideoInvalid(field=name)
    return values


async def _check_cover_at(connection: AsyncConnection, values: dict[str, Any], object_hash: str | None) -> None:
    """A time after the end is the end. Raises VideoInvalid for an outside video, and beside another cover."""
    if values["cover_at"] < 0 or values.get("cover_url") or object_hash is None:
        raise VideoInvalid(field="cover_at")
    end = (await connection.execute(select(Object.duration).where(Object.hash == object_hash))).scalar_one()
    values["cover_at"] = min(values["cover_at"], end)


def _is_address(url: str) -> bool:
    """Whether it is a path of this service, or an http(s) url."""
    if url.startswith(OURS):
        return objects.HASH.match(url.removeprefix(OURS)) is not None
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return len(url) <= MAX_URL and parts.scheme in ("http", "https") and bool(parts.hostname) and url.isprintable()


def hash_of(url: str) -> str | None:
    """The hash in a path of this service; None for any other url."""
    return url.removeprefix(OURS)[:64] if url.startswith(OURS) else None


async def _resolve_files(connection: AsyncConnection, caller: Caller, values: dict[str, Any]) -> Row[Any] | None:
    """Checks the files among the values and names them as the objects are named. Returns the video's file, if any.

    Raises ObjectNotFound for a file that the caller did not upload, FileUnplayable, VideoInvalid.
    """
    hashes = {name: hash for name in ("video_url", "cover_url") if (hash := hash_of(values.get(name, "")))}
    files = await objects.lock_own(connection, caller, list(hashes.values())) if hashes else {}
    values |= {name: f"{OURS}{hash}.{files[hash].extension}" for name, hash in hashes.items()}
    if "cover_url" in hashes and files[hashes["cover_url"]].kind == VIDEO:
        values["cover_url"] = await _cover_of(connection, hashes["cover_url"])
    elif "cover_url" in hashes and files[hashes["cover_url"]].kind != IMAGE:
        raise VideoInvalid(field="cover_url")
    file = files[hashes["video_url"]] if "video_url" in hashes else None
    if file is not None and (file.kind != VIDEO or file.state == FAILED):
        raise FileUnplayable
    return file


async def _cover_of(connection: AsyncConnection, hash: str) -> str:
    """The cover that was made of a video's file; empty, which shows the video's own cover, while there is none."""
    made = select(_cover_file.hash + "." + _cover_file.extension).join(_cover, _cover.object_hash == _cover_file.hash)
    found = await connection.execute(made.where(_cover.source_hash == hash, _cover.profile == "cover"))
    file = found.scalar_one_or_none()
    return f"{OURS}{file}" if file else ""


async def _refer(connection: AsyncConnection, video: Any) -> None:
    """Ties the files that a video shows to it."""
    hashes = {hash for hash in (video.object_hash, hash_of(video.cover_url)) if hash}
    about = {"video_id": video.id, "visibility": video.visibility, "owner_id": video.owner_id}
    rows = [{"object_hash": hash, **about} for hash in sorted(hashes)]
    if rows:
        await connection.execute(insert(ObjectReference), rows)
