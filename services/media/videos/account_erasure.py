"""Removes what a deleted account has published, written, liked and uploaded.

It does so in small transactions, so that no reader or writer of a hot video waits for long, and goes on after a
restart where it stopped.
"""

import asyncio
from contextlib import suppress

import structlog
from sqlalchemy import delete, or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import SQLAlchemyError

from services.kit.errors import HitokError
from services.kit.sql.connection import AsyncConnection
from services.media.files import resumable
from services.media.files.references import release_objects
from services.media.models import PartialUpload, Upload
from services.media.resources import Resources
from services.media.videos import likes, videos
from services.media.videos.commenting import comments
from services.media.videos.following import feed
from services.media.videos.for_you import settings
from services.media.videos.models import Comment, ErasedAccount, Video
from services.media.videos.saved import saves

BATCH = 500  # rows per transaction
FILES = 20  # uploads per transaction
POLL_SECONDS = 30.0  # between looks for what another process left undone

log = structlog.get_logger("account_erasure")


class AccountEraser:
    """Erases the accounts that were scheduled."""

    def __init__(self, service: Resources) -> None:
        self._service, self._scheduled = service, asyncio.Event()

    def wake(self) -> None:
        """Call it after the commit of `schedule`."""
        self._scheduled.set()

    async def run(self) -> None:
        """Runs until it is cancelled."""
        while True:
            self._scheduled.clear()
            try:
                while await erase_batch(self._service):
                    pass
            except (SQLAlchemyError, OSError, HitokError) as error:
                log.warning("account erasure waits", error=repr(error)[:200])
                await asyncio.sleep(1)
                continue
            with suppress(TimeoutError):
                await asyncio.wait_for(self._scheduled.wait(), POLL_SECONDS)


async def schedule(connection: AsyncConnection, user_id: int) -> None:
    """Has what the account left erased, starting after this transaction."""
    await connection.execute(insert(ErasedAccount).values(user_id=user_id).on_conflict_do_nothing())


async def erase_batch(service: Resources) -> bool:
    """Erases one batch of one account; False if none is left, or another process erases the only ones left."""
    async with service.database.transaction() as connection:
        oldest = select(ErasedAccount.user_id).order_by(ErasedAccount.created_at).limit(1)
        user_id = (await connection.execute(oldest.with_for_update(skip_locked=True))).scalar_one_or_none()
        if user_id is None:
            return False
        for step in STEPS:
            if await step(connection, user_id):
                return True
        await connection.execute(delete(ErasedAccount).where(ErasedAccount.user_id == user_id))
        return True


async def _erase_video(connection: AsyncConnection, user_id: int) -> int:
    query = select(Video.__table__).where(Video.owner_id == user_id, Video.deleted_at.is_(None)).limit(1)
    for video in (await connection.execute(query.with_for_update(key_share=True))).all():
        await videos.erase(connection, video, user_id)
        return 1
    return 0


async def _delete_video_likes(connection: AsyncConnection, user_id: int) -> int:
    return await likes.delete_likes(connection, likes.VIDEO, user_id, BATCH)


async def _delete_comment_likes(connection: AsyncConnection, user_id: int) -> int:
    return await likes.delete_likes(connection, likes.COMMENT, user_id, BATCH)


async def _delete_shares(connection: AsyncConnection, user_id: int) -> int:
    return await likes.delete_shares(connection, user_id, BATCH)


async def _erase_uploads(connection: AsyncConnection, user_id: int) -> int:
    """After the videos. A file that another user uploaded too stays for them."""
    open_ones = select(PartialUpload.id).where(PartialUpload.user_id == user_id)
    await resumable.drop(connection, list((await connection.execute(open_ones)).scalars()))
    mine = select(Upload.object_hash).where(Upload.user_id == user_id).order_by(Upload.object_hash).limit(FILES)
    hashes = (await connection.execute(mine)).scalars().all()
    await release_objects(connection, user_id, hashes, private=True)
    await connection.execute(delete(Upload).where(Upload.user_id == user_id, Upload.object_hash.in_(hashes)))
    return len(hashes)


async def _delete_seen(connection: AsyncConnection, user_id: int) -> int:
    return await feed.delete_seen(connection, user_id)


async def _delete_saves(connection: AsyncConnection, user_id: int) -> int:
    return await saves.delete_saves(connection, user_id, BATCH)


async def _delete_for_you(connection: AsyncConnection, user_id: int) -> int:
    return await settings.delete_for_you(connection, user_id, BATCH)


async def _erase_comment(connection: AsyncConnection, user_id: int) -> int:
    left = or_(Comment.deleted_at.is_(None), Comment.hidden_at.is_not(None))
    query = select(Comment.__table__).where(Comment.user_id == user_id, left).limit(1)
    comment = (await connection.execute(query)).one_or_none()
    if comment is None:
        return 0
    video = select(Video.id).where(Video.id == comment.video_id).with_for_update(key_share=True)
    await connection.execute(video)
    await comments.erase_of_deleted_account(connection, comment.id, user_id)
    return 1


STEPS = (
    _erase_video,
    _delete_video_likes,
    _delete_comment_likes,
    _delete_shares,
    _delete_seen,
    _delete_saves,
    _delete_for_you,
    _erase_comment,
    _erase_uploads,
)
