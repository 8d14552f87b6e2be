"""Videos: change, delete and read them; creating.py creates them."""

from collections.abc import Sequence
from itertools import chain
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import Row, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert

from protos.media.v1.videos_pb2 import COMMENTS_EVERYONE, COMMENTS_NOBODY
from services.kit.context import Caller
from services.kit.db import one_of
from services.kit.pages import check_batch
from services.kit.roles import is_admin
from services.kit.sql.connection import AsyncConnection
from services.media import events
from services.media.errors import FileUnplayable, NotPermitted, VideoInvalid
from services.media.files import objects
from services.media.files.filetypes import IMAGE, VIDEO
from services.media.files.references import release_objects
from services.media.models import FAILED, PRIVATE, PUBLIC, Object, ObjectReference
from services.media.tags import index
from services.media.videos.cards import CARDS, OURS, made_cover
from services.media.videos.list_totals import move_video
from services.media.videos.models import Caption, Video
from services.media.videos.texts.texts import tell_mentioned, text_values
from services.media.videos.visibility import ForViewers, lock_visible

SHOWN = ForViewers(CARDS.where(one_of(Video.id, "ids")))
SHOWN_BUT_PUBLIC = ForViewers(CARDS.where(one_of(Video.id, "ids"), Video.visibility != PUBLIC))
MAX_TITLE, MAX_DESCRIPTION, MAX_TYPE, MAX_URL = 100, 500, 20, 2_048  # characters


async def update_video(
    connection: AsyncConnection, caller: Caller, video_id: int, changes: dict[str, Any], private: bool | None
) -> Any:
    """Changes the given fields among `title, description, cover_url, cover_at, visibility, who_may_comment`;
    `mentions`: users by name.

    `private` is what older clients send instead of a visibility; False leaves a video for friends as it is.
    Raises VideoInvalid, VideoNotFound, NotPermitted, ObjectNotFound.
    """
    video = await lock_visible(connection, caller, video_id)
    if video.owner_id != caller.user_id:
        raise NotPermitted
    users = changes.pop("mentions", {})
    values = check_fields(changes)
    if "title" in values and not values["title"]:
        raise VideoInvalid(field="title")
    if "cover_at" in values:
        await check_cover_at(connection, values, video.object_hash)
    elif "cover_url" in values:
        values["cover_at"] = None
    if video.publish_as is not None and "visibility" in values:
        values["publish_as"] = values.pop("visibility")
    column = "visibility" if video.publish_as is None else "publish_as"
    if private is not None and column not in values and private != (getattr(video, column) == PRIVATE):
        values[column] = PRIVATE if private else PUBLIC
    values = {name: value for name, value in values.items() if value != getattr(video, name)}
    if values:
        await resolve_files(connection, caller, values)
        await write_changes(connection, video, values, users)
    return (await get_cards(connection, caller, [video_id]))[0]


async def write_changes(
    connection: AsyncConnection, video: Any, values: dict[str, Any], users: dict[str, int] | None = None
) -> None:
    """`users`: by name, those who may be mentioned now; those who were stay."""
    texts = (values.get("title", video.title), values.get("description", video.description))
    before = await files_of(connection, video)
    values = text_values(*texts, video.mentions | (users or {})) | values
    statement = update(Video).where(Video.id == video.id).values(updated_at=func.now(), **values)
    changed = (await connection.execute(statement.returning(Video.__table__))).one()
    await refer_anew(connection, before, changed, private=video.visibility != PUBLIC)
    await move_video(connection, video.id, video.owner_id, old=video.visibility, new=changed.visibility)
    await index.follow_change(connection, video, changed)
    await events.video_updated(connection, changed, video.owner_id)
    await tell_mentioned(connection, changed)


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
    blank |= {"object_hash": None, "publish_as": None, "cover_at": None, "captioned_hls": None}
    blank |= text_values("", "", {}) | {"mentions_told": [], "pinned_at": None, "pinned_comment_id": None}
    await connection.execute(delete(Caption).where(Caption.video_id == video.id))
    statement = update(Video).where(Video.id == video.id)
    gone = (await connection.execute(statement.values(deleted_at=func.now(), **blank).returning(Video.__table__))).one()
    shown = delete(ObjectReference).where(ObjectReference.video_id == video.id).returning(ObjectReference.object_hash)
    hashes = (await connection.execute(shown)).scalars().all()
    await release_objects(connection, video.owner_id, hashes, private=video.visibility != PUBLIC)
    await move_video(connection, video.id, video.owner_id, old=video.visibility)
    await index.follow_change(connection, video, gone)
    await events.video_deleted(connection, video, actor_id)


async def get_cards(
    connection: AsyncConnection, viewer: Caller, video_ids: Sequence[int], but_public: bool = False
) -> list[Any]:
    """Returns the videos that the viewer may see, in the order of `video_ids`; `but_public`: without the public ones.

    Raises BatchTooLarge.
    """
    check_batch(video_ids)
    cards = SHOWN_BUT_PUBLIC if but_public else SHOWN
    found = {row.id: row for row in await cards.fetch(connection, viewer, ids=list(video_ids))}
    return [found[id] for id in dict.fromkeys(video_ids) if id in found]


def check_fields(fields: dict[str, Any]) -> dict[str, Any]:
    """Returns the fields as they are stored. Raises VideoInvalid."""
    values = dict(fields)
    limits = {"title": MAX_TITLE, "description": MAX_DESCRIPTION, "type": MAX_TYPE}
    for name in limits.keys() & values.keys():
        if name != "description":
            values[name] = values[name].strip()
        if len(values[name]) > limits[name] or "\0" in values[name]:
            raise VideoInvalid(field=name)
    if not COMMENTS_EVERYONE <= values.get("who_may_comment", COMMENTS_EVERYONE) <= COMMENTS_NOBODY:
        raise VideoInvalid(field="who_may_comment")
    for name in {"video_url", "cover_url"} & values.keys():
        if values[name] and not _is_address(values[name]):
            raise VideoInvalid(field=name)
    return values


async def check_cover_at(connection: AsyncConnection, values: dict[str, Any], object_hash: str | None) -> None:
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


async def resolve_files(connection: AsyncConnection, caller: Caller, values: dict[str, Any]) -> Row[Any] | None:
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
    file = (await connection.execute(made_cover(hash))).scalar_one_or_none()
    return f"{OURS}{file}" if file else ""


async def files_of(connection: AsyncConnection, video: Any) -> set[str]:
    """The hashes of all that a video shows: its file, its cover, its captions and their playlists."""
    captions = (Caption.object_hash, Caption.segments_hash, Caption.playlist_hash)
    named = (await connection.execute(select(*captions).where(Caption.video_id == video.id))).all()
    own = (video.object_hash, hash_of(video.cover_url), video.captioned_hls)
    return {hash for hash in (*own, *chain.from_iterable(named)) if hash}


async def _refer(connection: AsyncConnection, video: Any) -> None:
    """Ties the files that a video shows to it, unless they are."""
    about = {"video_id": video.id, "visibility": video.visibility, "owner_id": video.owner_id}
    rows = [{"object_hash": hash, **about} for hash in sorted(await files_of(connection, video))]
    if rows:
        await connection.execute(insert(ObjectReference).on_conflict_do_nothing(), rows)


async def refer_anew(connection: AsyncConnection, before: set[str], video: Any, private: bool) -> None:
    """Releases the files that the locked video does not show any more. Those of captions that are only about to be
    shown stay. `before`: what it showed; `private`: whether it was."""
    of = ObjectReference.video_id == video.id
    await connection.execute(update(ObjectReference).where(of).values(visibility=video.visibility))
    gone = before - await files_of(connection, video)
    await connection.execute(delete(ObjectReference).where(of, ObjectReference.object_hash.in_(gone)))
    await _refer(connection, video)
    await release_objects(connection, video.owner_id, sorted(before), private=private)
