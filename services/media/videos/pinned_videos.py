"""Videos that their owners pin: first in the list of the owner's videos, the last pinned before the others."""

from typing import Any

from sqlalchemy import func, select, text, update

from services.kit.context import Caller
from services.kit.sql.connection import AsyncConnection
from services.media import events
from services.media.errors import NotPermitted, PinnedVideosFull
from services.media.videos.models import Video
from services.media.videos.videos import get_cards
from services.media.videos.visibility import is_live, lock_visible

MAX_PINNED = 3  # of one owner
LOCK = text("SELECT pg_advisory_xact_lock(hashtextextended('pinned videos', :owner))")


async def pin_video(connection: AsyncConnection, caller: Caller, video_id: int, pinned: bool) -> Any:
    """Repeating it changes nothing. Raises VideoNotFound, NotPermitted, PinnedVideosFull."""
    video = await lock_visible(connection, caller, video_id)
    if video.owner_id != caller.user_id:
        raise NotPermitted
    if pinned != (video.pinned_at is not None):
        if pinned:
            await _require_room(connection, caller.user_id)
        change = update(Video).where(Video.id == video_id).values(pinned_at=func.now() if pinned else None)
        changed = (await connection.execute(change.returning(Video.__table__))).one()
        await events.video_updated(connection, changed, caller.user_id)
    return (await get_cards(connection, caller, [video_id]))[0]


async def _require_room(connection: AsyncConnection, owner_id: int) -> None:
    """Until the transaction ends no other pins for this owner, so that the limit holds."""
    await connection.execute(LOCK, {"owner": owner_id})
    own = select(func.count()).where(Video.owner_id == owner_id, Video.pinned_at.is_not(None), is_live)
    if (await connection.execute(own)).scalar_one() >= MAX_PINNED:
        raise PinnedVideosFull
