"""Takes videos and comments from everybody's sight, and brings them back, as moderators decide (docs/moderation.md).

A hidden video has the visibility HIDDEN, which no list and no rule names, and `publish_as` keeps the owner's choice, as
while a file is processed. A hidden comment is deleted but for its content. `moderation_event` is the id of the last
event applied: an older one, delivered late, changes nothing.
"""

from typing import Any

from sqlalchemy import Row, delete, func, select, update

from services.kit.nats import Event
from services.kit.sql.connection import AsyncConnection
from services.media import events
from services.media.models import HIDDEN, PRIVATE, READY, Object, ObjectReference
from services.media.tags import index
from services.media.videos import videos
from services.media.videos.commenting import comments
from services.media.videos.commenting.comments import BLANK
from services.media.videos.commenting.models import CommentEdit
from services.media.videos.list_totals import move_video
from services.media.videos.models import Comment, Video

SUBJECTS = [f"events.user.moderation.{verb}" for verb in ("hidden", "restored", "removed")]
NOBODY = 0  # the actor of an event that no user of the app caused


async def apply_event(connection: AsyncConnection, event: Event) -> None:
    """Applies an event of one of SUBJECTS; those about other kinds of things change nothing."""
    verb, subject_id = event.subject.rpartition(".")[2], int(event.data["subject_id"])
    if event.data["kind"] == "video":
        await _moderate_video(connection, subject_id, verb, event.id)
    elif event.data["kind"] == "comment":
        await _moderate_comment(connection, subject_id, verb, event.id)


async def _moderate_video(connection: AsyncConnection, video_id: int, verb: str, event_id: int) -> None:
    newer = (Video.id == video_id, Video.deleted_at.is_(None), Video.moderation_event < event_id)
    query = select(Video.__table__).where(*newer).with_for_update(key_share=True)
    video = (await connection.execute(query)).one_or_none()
    if video is None:
        return
    await connection.execute(update(Video).where(Video.id == video_id).values(moderation_event=event_id))
    if verb == "removed":
        await videos.erase(connection, video, NOBODY)
    elif verb == "hidden":
        publish_as = video.visibility if video.publish_as is None else video.publish_as
        await _show_as(connection, video, HIDDEN, publish_as)
    elif video.visibility == HIDDEN:
        is_ready = await _is_ready(connection, video)
        visibility, publish_as = (video.publish_as, None) if is_ready else (PRIVATE, video.publish_as)
        await _show_as(connection, video, visibility, publish_as)


async def _is_ready(connection: AsyncConnection, video: Any) -> bool:
    """Whether its file can be played. Processing ends after it has locked the video, so this does not change."""
    state = select(Object.state).where(Object.hash == video.object_hash)
    return (await connection.execute(state)).scalar_one_or_none() in (None, READY)


async def _show_as(connection: AsyncConnection, video: Any, visibility: int, publish_as: int | None) -> None:
    change = update(Video).where(Video.id == video.id).values(visibility=visibility, publish_as=publish_as)
    change = change.returning(Video.__table__)
    changed: Row[Any] = (await connection.execute(change)).one()
    references = update(ObjectReference).where(ObjectReference.video_id == video.id)
    await connection.execute(references.values(visibility=visibility))
    await move_video(connection, video.id, video.owner_id, old=video.visibility, new=visibility)
    await index.follow_change(connection, video, changed)
    await events.video_moderated(connection, changed, hidden=visibility == HIDDEN)


async def _moderate_comment(connection: AsyncConnection, comment_id: int, verb: str, event_id: int) -> None:
    known = (await connection.execute(select(Comment.video_id).where(Comment.id == comment_id))).one_or_none()
    if known is None:
        return
    lock = select(Video.deleted_at).where(Video.id == known.video_id).with_for_update(key_share=True)
    has_video = (await connection.execute(lock)).scalar_one() is None
    newer = (Comment.id == comment_id, Comment.moderation_event < event_id)
    comment = (await connection.execute(select(Comment.__table__).where(*newer))).one_or_none()
    if comment is None:
        return
    await connection.execute(update(Comment).where(Comment.id == comment_id).values(moderation_event=event_id))
    if verb == "restored" and comment.hidden_at is not None:
        await _change_comment(connection, comment, 1, has_video, deleted_at=None, hidden_at=None)
    elif verb != "restored" and comment.deleted_at is None:
        values = {"hidden_at": func.now()} if verb == "hidden" else BLANK
        await _change_comment(connection, comment, -1, has_video, deleted_at=func.now(), **values)
    elif verb == "removed" and comment.hidden_at is not None:
        blank = update(Comment).where(Comment.id == comment_id).values(hidden_at=None, **BLANK)
        await connection.execute(blank)
    if verb == "removed":
        await connection.execute(delete(CommentEdit).where(CommentEdit.comment_id == comment_id))


async def _change_comment(connection: AsyncConnection, comment: Any, step: int, has_video: bool, **values: Any) -> None:
    """`step`: 1 if the comment counts from now on, -1 if no longer. Its video is locked."""
    await comments.count(connection, comment, step, has_video)
    await connection.execute(update(Comment).where(Comment.id == comment.id).values(values))
    await events.comment_moderated(connection, comment, hidden=step < 0)
