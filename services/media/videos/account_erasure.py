"""What other services announce and this one acts on: how users stand to each other, and accounts that are deleted.

All that a deleted account did is removed in small transactions, which a restart takes up again: no reader or
writer of a hot video waits for them.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import structlog
from sqlalchemy import delete, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from services.kit import background
from services.kit.errors import HitokError
from services.kit.events import consume
from services.kit.nats import Event
from services.media.config import SERVICE
from services.media.relationships import projection
from services.media.resources import Resources
from services.media.videos import comments, likes, videos
from services.media.videos.models import Comment, Leaver, Video

CONSUMER = f"{SERVICE}-people"
DELETED = "events.user.account.deleted"
SUBJECTS = [*projection.SUBJECTS, DELETED]
BATCH = 500  # rows a transaction
POLL = 30.0  # seconds between looks for what another process left undone

log = structlog.get_logger("leaving")


@asynccontextmanager
async def following(service: Resources) -> AsyncIterator[None]:
    """Handles events, and removes what leavers leave, while the block runs."""
    has_leaver = asyncio.Event()

    async def handle(connection: AsyncConnection, event: Event) -> None:
        if event.subject == DELETED:
            await projection.forget(connection, int(event.data["user_id"]))
            asyncio.get_running_loop().call_later(0.1, has_leaver.set)  # once this is committed
        else:
            await projection.learn(connection, event)

    async with background.run(
        consume=lambda: consume(service.database, service.nats, CONSUMER, SUBJECTS, handle),
        erase_accounts=lambda: _remove_for_ever(service, has_leaver),
    ):
        yield


async def _remove_for_ever(service: Resources, has_leaver: asyncio.Event) -> None:
    while True:
        has_leaver.clear()
        try:
            while await remove_some(service):
                pass
        except (SQLAlchemyError, OSError, HitokError) as error:
            log.warning("leaver waits", error=repr(error)[:200])
            await asyncio.sleep(1)
            continue
        with suppress(TimeoutError):
            await asyncio.wait_for(has_leaver.wait(), POLL)


async def remove_some(service: Resources) -> bool:
    """One batch of one leaver; False when there is none, or others are at them."""
    async with service.database.transaction() as connection:
        next_one = select(Leaver.user_id).order_by(Leaver.created_at).limit(1).with_for_update(skip_locked=True)
        user_id = (await connection.execute(next_one)).scalar_one_or_none()
        if user_id is None:
            return False
        for step in (_erase_video, _forget_video_likes, _forget_comment_likes, _forget_shares, _erase_comment):
            if await step(connection, user_id):
                return True
        await connection.execute(delete(Leaver).where(Leaver.user_id == user_id))
        return True


async def _erase_video(connection: AsyncConnection, user_id: int) -> int:
    query = select(Video.__table__).where(Video.owner_id == user_id, Video.deleted_at.is_(None)).limit(1)
    for video in (await connection.execute(query.with_for_update(key_share=True))).all():
        await videos.erase(connection, video, user_id)
        return 1
    return 0


async def _forget_video_likes(connection: AsyncConnection, user_id: int) -> int:
    return await likes.forget_likes(connection, likes.VIDEO, user_id, BATCH)


async def _forget_comment_likes(connection: AsyncConnection, user_id: int) -> int:
    return await likes.forget_likes(connection, likes.COMMENT, user_id, BATCH)


async def _forget_shares(connection: AsyncConnection, user_id: int) -> int:
    return await likes.forget_shares(connection, user_id, BATCH)


async def _erase_comment(connection: AsyncConnection, user_id: int) -> int:
    query = select(Comment.__table__).where(Comment.user_id == user_id, Comment.deleted_at.is_(None)).limit(1)
    comment = (await connection.execute(query)).one_or_none()
    if comment is None:
        return 0
    video = select(Video.id).where(Video.id == comment.video_id).with_for_update(key_share=True)
    await connection.execute(video)
    await comments.erase_left(connection, comment.id, user_id)
    return 1
