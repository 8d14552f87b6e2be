"""Comments and replies. Their counts move in the transaction that changes them, under the video's row lock.

writing.py writes them.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import BigInteger, Row, Select, bindparam, delete, exists, func, literal, not_, or_, select, update
from sqlalchemy.orm import aliased

from protos.media.v1.comments_pb2 import MOST_LIKED
from services.kit.context import Caller
from services.kit.cursor import encode_cursor
from services.kit.ids import MAX_ID
from services.kit.pages import before
from services.kit.roles import is_admin
from services.kit.sql.connection import AsyncConnection
from services.media import events
from services.media.errors import CommentNotFound, NotPermitted, VideoNotFound
from services.media.relationships.models import Relationship
from services.media.videos.commenting.models import CommentEdit
from services.media.videos.models import Comment, Video
from services.media.videos.pages import PageRequest, ShownRows, start_below
from services.media.videos.visibility import ForViewers, lock_visible, require_visible

_father = aliased(Comment)
is_top = Comment.father_id == Comment.id
LIVE = ForViewers(
    select(Comment.__table__, Video.pinned_comment_id)
    .join(_father, _father.id == Comment.father_id)
    .join(Video, Video.id == Comment.video_id)
    .where(Comment.id == bindparam("id", type_=BigInteger), Comment.deleted_at.is_(None), _father.deleted_at.is_(None))
)
BLANK: dict[str, Any] = {"content": "null", "mentions": {}, "mentions_told": []}


async def delete_comment(connection: AsyncConnection, caller: Caller, comment_id: int) -> int:
    """Returns the id of its video. Raises CommentNotFound, NotPermitted."""
    comment, video = await lock_comment(connection, caller, comment_id)
    if caller.user_id not in (comment.user_id, video.owner_id) and not is_admin(caller.role):
        raise NotPermitted
    await erase(connection, comment, caller.user_id)
    return int(video.id)


async def erase(connection: AsyncConnection, comment: Any, actor_id: int) -> None:
    """Deletes a live comment of a locked video; a top-level comment takes its replies out of the count."""
    await count(connection, comment, -1)
    await _blank(connection, comment.id, comment.edited_at is not None)
    await events.comment_deleted(connection, comment, actor_id)


async def count(connection: AsyncConnection, comment: Any, step: int, has_video: bool = True) -> None:
    """Counts a comment of a locked video in (1) or out (-1), before its row changes: locks go by id. Its pin ends.

    A reply counts for its thread, and for the video only while the thread is there; a thread brings its replies.
    """
    if comment.father_id == comment.id:
        in_video = step * (1 + comment.reply_count)
    else:
        thread = update(Comment).where(Comment.id == comment.father_id)
        counted = thread.values(reply_count=Comment.reply_count + step).returning(Comment.deleted_at)
        in_video = step if (await connection.execute(counted)).scalar_one() is None else 0
    if has_video and in_video:
        await _count_in_video(connection, comment, in_video)


async def erase_of_deleted_account(connection: AsyncConnection, comment_id: int, user_id: int) -> None:
    """Deletes a comment of a locked video; its counts stay if the video or the thread is deleted already."""
    ended = or_(_father.deleted_at.is_not(None), Video.deleted_at.is_not(None))
    query = select(Comment.__table__, ended.label("ended")).join(_father, _father.id == Comment.father_id)
    query = query.join(Video, Video.id == Comment.video_id).where(Comment.deleted_at.is_(None))
    comment = (await connection.execute(query.where(Comment.id == comment_id))).one_or_none()
    if comment is None:
        await _blank(connection, comment_id)  # hidden, so it counts nowhere
    elif comment.ended:
        await count(connection, comment, -1, has_video=False)
        await _blank(connection, comment_id)
    else:
        await erase(connection, comment, user_id)


async def _blank(connection: AsyncConnection, comment_id: int, was_edited: bool = True) -> None:
    gone = update(Comment).where(Comment.id == comment_id)
    await connection.execute(gone.values(deleted_at=func.now(), hidden_at=None, **BLANK))
    if was_edited:
        await connection.execute(delete(CommentEdit).where(CommentEdit.comment_id == comment_id))


async def get_comment(connection: AsyncConnection, viewer: Caller, comment_id: int) -> Any:
    """Raises CommentNotFound."""
    (comment,) = await LIVE.fetch(connection, viewer, id=comment_id) or (None,)
    if comment is None:
        raise CommentNotFound
    return comment


async def list_comments(
    connection: AsyncConnection, viewer: Caller, video_id: int, order: int, before_id: int, page: PageRequest
) -> tuple[Sequence[Row[Any]], str]:
    """The top-level comments of a video, the pinned one first. Raises VideoNotFound, CursorInvalid."""
    video = await require_visible(connection, viewer, video_id)
    pinned = await _pinned(connection, video)
    query = _listed(pinned.id if pinned else None).where(Comment.video_id == video_id, is_top)
    return await _list(connection, query, order, before_id, page, pinned)


async def list_thread(
    connection: AsyncConnection, viewer: Caller, comment_id: int, order: int, before_id: int, page: PageRequest
) -> tuple[Sequence[Row[Any]], str]:
    """The comment and its replies; for a reply, the reply alone. Raises CommentNotFound, CursorInvalid."""
    comment = await get_comment(connection, viewer, comment_id)
    own = [Comment.father_id == comment_id] if comment.father_id == comment_id else [Comment.id == comment_id]
    return await _list(connection, _listed(comment.pinned_comment_id).where(*own), order, before_id, page)


async def _list(
    connection: AsyncConnection,
    query: Select[Any],
    order: int,
    before_id: int,
    page: PageRequest,
    pinned: Row[Any] | None = None,
) -> tuple[Sequence[Row[Any]], str]:
    """A comment that is liked while the list is read is neither repeated nor missed. The pinned one comes first; the
    cursor after it leaves it out, whatever is pinned later."""
    query, top = query.where(Comment.deleted_at.is_(None)).limit(page.size), []
    if pinned is not None:
        top = [] if page.cursor or before_id else [pinned]
        query = query.where(Comment.id != pinned.id) if top or before_id else query
        before_id = before_id if before_id != pinned.id else 0
    if order != MOST_LIKED:
        return await _newest(connection, query, before_id, page, top)
    shown = ShownRows.decode(page.cursor)
    query = query.where(*shown.is_new(Comment.like_count, Comment.id))
    if before_id:
        likes = await connection.execute(select(Comment.like_count).where(Comment.id == before_id))
        query = query.where(before((Comment.like_count, Comment.id), (likes.scalar() or 0, before_id)))
    found = query.order_by(Comment.like_count.desc(), Comment.id.desc())
    rows, more = page.cut([*top, *(await connection.execute(found)).all()])
    return rows, shown.next(rows, "like_count") if more else ""


async def _newest(
    connection: AsyncConnection, query: Select[Any], before_id: int, page: PageRequest, top: list[Row[Any]]
) -> tuple[Sequence[Row[Any]], str]:
    """The cursor: the last id and, if one was pinned, the id of that."""
    last_id, shown = start_below(page.cursor, most=1)
    query = query.where(Comment.id < min(last_id, before_id or MAX_ID))
    query = query.where(Comment.id != shown[0]) if shown else query
    rows, more = page.cut([*top, *(await connection.execute(query.order_by(Comment.id.desc()))).all()])
    if not more:
        return rows, ""
    shown = shown or [row.id for row in top]
    last = next((row.id for row in reversed(rows) if row.id not in shown), MAX_ID)
    return rows, encode_cursor(last, *shown)


def _listed(pinned_id: int | None) -> Select[Any]:
    return select(Comment.__table__, literal(pinned_id, BigInteger).label("pinned_comment_id"))


async def _pinned(connection: AsyncConnection, video: Row[Any]) -> Row[Any] | None:
    """The comment that is pinned on the video, unless the owner blocks its author."""
    if video.pinned_comment_id is None:
        return None
    between = (Relationship.user_id == video.owner_id, Relationship.peer_id == Comment.user_id)
    is_blocked = exists().where(*between, Relationship.blocks)
    query = select(Comment.__table__, Comment.id.label("pinned_comment_id")).where(
        Comment.id == video.pinned_comment_id, Comment.deleted_at.is_(None), not_(is_blocked)
    )
    row: Row[Any] | None = (await connection.execute(query)).one_or_none()
    return row


async def lock_comment(connection: AsyncConnection, caller: Caller, comment_id: int) -> tuple[Any, Row[Any]]:
    """Returns the comment and its video, read while the video is locked. Raises CommentNotFound, VideoNotFound."""
    found = await get_comment(connection, caller, comment_id)
    video = await lock_visible(connection, caller, found.video_id)
    return await get_comment(connection, caller, comment_id), video


async def _count_in_video(connection: AsyncConnection, comment: Any, step: int) -> None:
    """Raises VideoNotFound if the video was deleted meanwhile."""
    counted = update(Video).where(Video.id == comment.video_id, Video.deleted_at.is_(None))
    pinned = func.nullif(Video.pinned_comment_id, comment.id)
    values = {"comment_count": Video.comment_count + step, "pinned_comment_id": pinned}
    if not (await connection.execute(counted.values(values))).rowcount:
        raise VideoNotFound
