"""Views: 2 seconds, or half of a shorter video, count once per viewer and hour. Valkey remembers who was counted."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError
from sqlalchemy import Row, Update, select, update

from services.kit.batcher import Batcher
from services.kit.context import Caller
from services.kit.db import one_of
from services.kit.pages import unnest
from services.kit.sql.connection import AsyncConnection
from services.kit.sql.statements import Statement
from services.media.files.objects import get
from services.media.resources import Resources
from services.media.videos.for_you import watches
from services.media.videos.models import Video
from services.media.videos.visibility import require_visible

WATCHED = 2.0  # seconds
HOUR = 3_600  # seconds

log = structlog.get_logger("views")


class ViewKey(NamedTuple):
    viewer_id: int
    video_id: int

    @property
    def key(self) -> str:
        return f"viewed:{self.video_id}:{self.viewer_id}"


class View(NamedTuple):
    """`share`: of the video, in per cent; None for the viewer's own. `counts`: as a view."""

    key: ViewKey
    share: int | None
    counts: bool


async def count_view(
    service: Resources, counting: Batcher[View, None], caller: Caller, video_id: int, watched: float
) -> bool:
    """Returns whether the view was counted; what was watched is kept anyhow. Raises VideoNotFound."""
    async with service.database.reading() as connection:
        video = await require_visible(connection, caller, video_id)
        duration = await duration_of(connection, video)
    enough, key = is_view(watched, duration), ViewKey(caller.user_id, video_id)
    share = watches.share_of(watched, duration, enough) if video.owner_id != caller.user_id else None
    counts = enough and await is_first(service.redis, key)
    if counts or share is not None:
        await counting.submit(View(key, share, counts))
    return counts


async def write_views(service: Resources, views: Sequence[View]) -> Sequence[None]:
    """Counts views of many viewers at once. If that fails, the same viewers can be counted again."""
    counted = [view.key for view in views if view.counts]
    watched = [watches.Watch(*view.key, view.share) for view in views if view.share is not None]
    try:
        async with service.database.transaction() as connection:
            if counted:
                await count_views(connection, [key.video_id for key in counted])
            await watches.write_watches(connection, watched)
    except Exception:
        await forget(service.redis, counted)
        raise
    return [None] * len(views)


async def duration_of(connection: AsyncConnection, video: Row[Any]) -> float:
    """In seconds; 0 if it is not known, as of an outside url."""
    return (await get(connection, video.object_hash)).row.duration / 1_000 if video.object_hash else 0.0


def is_view(watched: float, duration: float) -> bool:
    """Whether `watched` seconds are enough."""
    return watched >= WATCHED or 0 < duration <= watched * 2


async def is_first(redis: Redis, view: ViewKey) -> bool:
    """Whether it is the viewer's first view in this hour, for one of concurrent calls; False while Valkey is away."""
    try:
        return bool(await redis.set(view.key, 1, nx=True, ex=HOUR))
    except (RedisError, OSError, TimeoutError) as error:
        log.warning("view not counted", error=repr(error)[:200])
        return False


async def forget(redis: Redis, views: Sequence[ViewKey]) -> None:
    if not views:
        return
    try:
        await redis.delete(*(view.key for view in views))
    except (RedisError, OSError, TimeoutError) as error:
        log.warning("views lost", error=repr(error)[:200])


def _count() -> Update:
    asked = unnest("ids", "steps")
    counted = update(Video).where(Video.id == asked.c.ids)
    return counted.values(view_count=Video.view_count + asked.c.steps)


LOCK: Statement[Any] = Statement(
    select(Video.id).where(one_of(Video.id, "ids")).order_by(Video.id).with_for_update(key_share=True)
)
COUNT: Statement[Any] = Statement(_count())


async def count_views(connection: AsyncConnection, video_ids: Sequence[int]) -> None:
    """Adds one view for each time that a video is named."""
    steps = Counter(video_ids)
    lock, count = LOCK.bind(ids=list(steps)), COUNT.bind(ids=list(steps), steps=list(steps.values()))
    await connection.fetch_each(lock, count)
