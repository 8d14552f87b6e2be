"""Views: 2 seconds, or half of a shorter video, count once per viewer and hour. Valkey remembers who was counted."""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError
from sqlalchemy import select, update

from services.kit.batcher import Batcher
from services.kit.context import Caller
from services.kit.pages import unnest
from services.kit.sql.connection import AsyncConnection
from services.media.files.objects import get
from services.media.resources import Resources
from services.media.videos.models import Video
from services.media.videos.visibility import require_visible

WATCHED = 2.0  # seconds
HOUR = 3_600

log = structlog.get_logger("views")


class ViewKey(NamedTuple):
    viewer_id: int
    video_id: int

    @property
    def key(self) -> str:
        return f"viewed:{self.video_id}:{self.viewer_id}"


async def count_view(
    service: Resources, counting: Batcher[ViewKey, None], caller: Caller, video_id: int, watched: float
) -> bool:
    """Returns whether the view was counted. Raises VideoNotFound."""
    async with service.database.transaction() as connection:
        if not await is_view(connection, caller, video_id, watched):
            return False
    view_key = ViewKey(caller.user_id, video_id)
    if not await is_first(service.redis, view_key):
        return False
    await counting.submit(view_key)
    return True


async def write_views(service: Resources, views: Sequence[ViewKey]) -> Sequence[None]:
    """Counts views of many viewers at once. If that fails, the same viewers can be counted again."""
    try:
        async with service.database.transaction() as connection:
            await count_views(connection, [view.video_id for view in views])
    except Exception:
        await forget(service.redis, views)
        raise
    return [None] * len(views)


async def is_view(connection: AsyncConnection, caller: Caller, video_id: int, watched: float) -> bool:
    """Whether `watched` seconds are enough. Raises VideoNotFound."""
    video = await require_visible(connection, caller, video_id)
    if watched >= WATCHED or not video.object_hash:
        return watched >= WATCHED
    duration = (await get(connection, video.object_hash)).row.duration / 1_000
    return bool(0 < duration <= watched * 2)


async def is_first(redis: Redis, view: ViewKey) -> bool:
    """Whether it is the viewer's first view in this hour, for one of concurrent calls; False while Valkey is away."""
    try:
        return bool(await redis.set(view.key, 1, nx=True, ex=HOUR))
    except (RedisError, OSError, TimeoutError) as error:
        log.warning("view not counted", error=repr(error)[:200])
        return False


async def forget(redis: Redis, views: Sequence[ViewKey]) -> None:
    try:
        await redis.delete(*(view.key for view in views))
    except (RedisError, OSError, TimeoutError) as error:
        log.warning("views lost", error=repr(error)[:200])


async def count_views(connection: AsyncConnection, video_ids: Sequence[int]) -> None:
    """Adds one view for each time that a video is named."""
    steps = Counter(video_ids)
    asked = unnest(id=list(steps), step=list(steps.values()))
    await connection.execute(
        select(Video.id).where(Video.id.in_(steps)).order_by(Video.id).with_for_update(key_share=True)
    )
    counted = update(Video).where(Video.id == asked.c.id)
    await connection.execute(counted.values(view_count=Video.view_count + asked.c.step))
