"""Publishes videos when they can be played, and tells their owners.

A video whose file is being processed waits: it is PRIVATE, and `publish_as` keeps the visibility that its owner chose.
Processing calls these functions in the transaction that changes the state of the file, so that neither a video that is
created meanwhile nor one that is changed meanwhile is missed (docs/contract/api.md, "Files").
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, select, update

from services.kit.sql.connection import AsyncConnection
from services.media import events
from services.media.models import HIDDEN, ObjectReference
from services.media.tags import index
from services.media.videos.list_totals import move_video
from services.media.videos.models import Video
from services.media.videos.texts.texts import tell_mentioned


async def lock_waiting(connection: AsyncConnection, object_hash: str) -> Sequence[Row[Any]]:
    """Locks the videos that wait for a file. Call it before locking the object: everybody locks videos first."""
    waiting = select(Video.__table__).where(Video.object_hash == object_hash, Video.publish_as.is_not(None))
    return (await connection.execute(waiting.order_by(Video.id).with_for_update(key_share=True))).all()


async def publish_waiting(connection: AsyncConnection, object_hash: str) -> None:
    """Call it when the object, which is locked, has become READY."""
    for video in await lock_waiting(connection, object_hash):
        if video.visibility == HIDDEN:
            continue
        published = await _publish(connection, video)
        await events.video_published(connection, published)
        await events.video_ready(connection, published)
        await tell_mentioned(connection, published)


async def _publish(connection: AsyncConnection, video: Any) -> Row[Any]:
    change = update(Video).where(Video.id == video.id).values(visibility=video.publish_as, publish_as=None)
    published: Row[Any] = (await connection.execute(change.returning(Video.__table__))).one()
    shown = update(ObjectReference).where(ObjectReference.video_id == video.id)
    await connection.execute(shown.values(visibility=published.visibility))
    await move_video(connection, video.id, video.owner_id, old=video.visibility, new=published.visibility)
    await index.follow_change(connection, video, published)
    return published


async def report_failed(connection: AsyncConnection, object_hash: str, reason: str) -> None:
    """Call it when the object, which is locked, has FAILED. The videos go on waiting: processing may be retried."""
    for video in await lock_waiting(connection, object_hash):
        await events.video_failed(connection, video, reason)
