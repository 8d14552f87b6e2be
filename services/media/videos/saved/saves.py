"""Saves videos for a user, who alone sees them, the last saved first."""

from collections.abc import Sequence

from sqlalchemy import delete, func, select, text
from sqlalchemy.dialects.postgresql import insert

from services.kit.context import Caller
from services.kit.cursor import encode_cursor
from services.kit.db import one_of
from services.kit.pages import check_batch, id_before
from services.kit.sql.connection import AsyncConnection
from services.media.errors import CollectionNotFound, SaveLimitReached
from services.media.videos.feeds import VideoPage
from services.media.videos.models import Video
from services.media.videos.pages import PageRequest
from services.media.videos.saved.models import Collection, SavedVideo
from services.media.videos.videos import get_cards
from services.media.videos.visibility import is_shown, require_visible, visible_to

MAX_SAVED = 5_000  # of one user
LOCK = text("SELECT pg_advisory_xact_lock(hashtextextended('saves', :user))")


async def save_video(connection: AsyncConnection, caller: Caller, video_id: int, collection_id: int) -> None:
    """Moves it if it is saved already. Raises VideoNotFound, CollectionNotFound, SaveLimitReached."""
    await require_visible(connection, caller, video_id)
    await lock_saves(connection, caller.user_id)
    if collection_id:
        await require_collection(connection, caller, collection_id)
    mine = select(func.count()).where(SavedVideo.user_id == caller.user_id, SavedVideo.video_id != video_id)
    if (await connection.execute(mine)).scalar_one() >= MAX_SAVED:
        raise SaveLimitReached
    where = {"collection_id": collection_id or None}
    row = insert(SavedVideo).values(user_id=caller.user_id, video_id=video_id, **where)
    await connection.execute(row.on_conflict_do_update(index_elements=["user_id", "video_id"], set_=where))


async def lock_saves(connection: AsyncConnection, user_id: int) -> None:
    """Until the transaction ends, so that the limits hold and a collection that is used stays."""
    await connection.execute(LOCK, {"user": user_id})


async def require_collection(connection: AsyncConnection, caller: Caller, collection_id: int) -> None:
    """Raises CollectionNotFound, also for another user's."""
    mine = select(Collection.id).where(Collection.id == collection_id, Collection.user_id == caller.user_id)
    if not (await connection.execute(mine)).first():
        raise CollectionNotFound


async def unsave_video(connection: AsyncConnection, caller: Caller, video_id: int) -> None:
    mine = (SavedVideo.user_id == caller.user_id, SavedVideo.video_id == video_id)
    await connection.execute(delete(SavedVideo).where(*mine))


async def list_saved(connection: AsyncConnection, viewer: Caller, collection_id: int, page: PageRequest) -> VideoPage:
    """Of all if `collection_id` is 0. Raises CollectionNotFound, CursorInvalid."""
    which = [SavedVideo.user_id == viewer.user_id]
    if collection_id:
        await require_collection(connection, viewer, collection_id)
        which.append(SavedVideo.collection_id == collection_id)
    query = (
        select(SavedVideo.id, SavedVideo.video_id)
        .join(Video, Video.id == SavedVideo.video_id)
        .where(*which, SavedVideo.id < id_before(page.cursor), is_shown, visible_to(viewer))
        .order_by(SavedVideo.id.desc())
        .limit(page.size)
    )
    rows, more = page.cut((await connection.execute(query)).all())
    videos = await get_cards(connection, viewer, [row.video_id for row in rows])
    return VideoPage(videos, encode_cursor(rows[-1].id) if more else "")


async def get_saved(connection: AsyncConnection, caller: Caller, video_ids: Sequence[int]) -> list[int]:
    """Those of them that the caller saved. Raises BatchTooLarge."""
    check_batch(video_ids)
    mine = select(SavedVideo.video_id).where(SavedVideo.user_id == caller.user_id)
    return list((await connection.execute(mine.where(one_of(SavedVideo.video_id, video_ids)))).scalars())


async def delete_saves(connection: AsyncConnection, user_id: int, most: int) -> int:
    """Deletes at most `most` rows of an erased account, its collections last; returns how many it deleted."""
    some = select(SavedVideo.video_id).where(SavedVideo.user_id == user_id).limit(most)
    gone = delete(SavedVideo).where(SavedVideo.user_id == user_id, SavedVideo.video_id.in_(some))
    if count := (await connection.execute(gone)).rowcount:
        return count
    return (await connection.execute(delete(Collection).where(Collection.user_id == user_id))).rowcount
