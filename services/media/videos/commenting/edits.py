"""Edits of comments. Readers see that a comment was edited; what it said before is kept for reports."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Row, func, insert, select, update

from services.kit.context import Caller
from services.kit.sql.connection import AsyncConnection
from services.media import events
from services.media.errors import CommentEditForbidden, CommentsClosed, EditLimitReached, NotPermitted
from services.media.videos.commenting.comments import get_comment, lock_comment
from services.media.videos.commenting.models import CommentEdit
from services.media.videos.commenting.rights import get_may_comment
from services.media.videos.commenting.writing import new_comment, tell_mentioned
from services.media.videos.models import Comment

EDITABLE = timedelta(hours=24)
MAX_EDITS = 20  # of one comment


async def edit_comment(
    connection: AsyncConnection, caller: Caller, comment_id: int, content: bytes, users: Mapping[str, int]
) -> Any:
    """Changes what the caller's comment says; `users`: by name, those who may be mentioned now. Users whom it mentioned
    before stay, and do not hear of it again.

    Raises CommentInvalid, CommentNotFound, NotPermitted, CommentEditForbidden, CommentsClosed, EditLimitReached.
    """
    comment, _ = await lock_comment(connection, caller, comment_id)
    if comment.user_id != caller.user_id:
        raise NotPermitted
    new = new_comment(caller, comment_id, content, comment.mentions | dict(users))
    if new.content == comment.content:
        return comment
    await _require_editable(connection, caller, comment)
    told = {*comment.mentions_told, *comment.mentions.values()}
    await connection.execute(insert(CommentEdit).values(comment_id=comment.id, content=comment.content))
    values = {"content": new.content, "mentions": new.mentions, "edited_at": func.now(), "updated_at": func.now()}
    values["mentions_told"] = sorted({*told, *new.mentions.values()})
    await connection.execute(update(Comment).where(Comment.id == comment.id).values(values))
    changed = await get_comment(connection, caller, comment_id)
    await events.comment_edited(connection, changed)
    await tell_mentioned(connection, [changed], {comment_id: new}, told)
    return changed


async def _require_editable(connection: AsyncConnection, caller: Caller, comment: Any) -> None:
    if comment.created_at < datetime.now(UTC) - EDITABLE:
        raise CommentEditForbidden
    if not await get_may_comment(connection, caller, [comment.video_id]):
        raise CommentsClosed
    edits = select(func.count()).where(CommentEdit.comment_id == comment.id)
    if (await connection.execute(edits)).scalar_one() >= MAX_EDITS:
        raise EditLimitReached


async def get_earlier(connection: AsyncConnection, comment_id: int) -> Sequence[Row[Any]]:
    """What it said before each edit, the oldest first."""
    columns: tuple[Any, ...] = (CommentEdit.content, CommentEdit.replaced_at)
    query = select(*columns).where(CommentEdit.comment_id == comment_id)
    found: Sequence[Row[Any]] = (await connection.execute(query.order_by(CommentEdit.id))).all()
    return found
