"""Likes of videos and of comments. The row is the truth; the counter moves only when a row changes.

The changes of many users are written in one transaction, in the order they arrived (the servicers batch them). The
rows with the counters are locked first, in the order of their ids, as everywhere.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Row, Select, and_, delete, exists, literal_column, not_, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import aliased

from services.kit.context import Caller
from services.kit.pages import check_batch, unnest
from services.kit.roles import ADMIN
from services.kit.sql.connection import AsyncConnection
from services.media import events
from services.media.videos.models import Comment, CommentLike, Video, VideoLike, VideoShare
from services.media.videos.visibility import is_live, lock_visible, visible

MAX_PAIRS = 5_000  # in one question

Pair = tuple[int, int]  # what is liked, and by whom


class Change(NamedTuple):
    user_id: int
    role: int
    target_id: int
    liked: bool


class Outcome(NamedTuple):
    """`video_id` is the target, or the target comment's video; 0 if the user may see no such target."""

    video_id: int = 0


class Kind(NamedTuple):
    """The tables of a kind of target and of its likes, and the likes' column with the target's id."""

    target: Any
    like: Any
    key: Any


VIDEO = Kind(Video, VideoLike, VideoLike.video_id)
COMMENT = Kind(Comment, CommentLike, CommentLike.comment_id)

_father = aliased(Comment)


async def change_likes(connection: AsyncConnection, kind: Kind, changes: Sequence[Change]) -> list[Outcome]:
    """Returns one outcome for each change, in order."""
    targets = await _lock(connection, kind, {change.target_id for change in changes})
    allowed = await _allow(connection, kind, changes)
    wanted = {(change.target_id, change.user_id): change.liked for change in changes if change in allowed}
    fresh, gained = await _like(connection, kind, [pair for pair, liked in wanted.items() if liked])
    lost = await _retract(connection, kind, [pair for pair, liked in wanted.items() if not liked])
    steps = Counter(target_id for target_id, _ in gained)
    steps.subtract(target_id for target_id, _ in lost)
    await _count(connection, kind, {id: step for id, step in steps.items() if step})
    announce = events.videos_liked if kind is VIDEO else events.comments_liked
    await announce(connection, [(targets[target_id], user_id) for target_id, user_id in fresh])
    return [Outcome(targets[change.target_id].video_id if change in allowed else 0) for change in changes]


async def _lock(connection: AsyncConnection, kind: Kind, ids: set[int]) -> dict[int, Row[Any]]:
    query: Select[Any] = select(kind.target.__table__).where(kind.target.id.in_(ids), kind.target.deleted_at.is_(None))
    if kind is VIDEO:
        query = query.add_columns(Video.id.label("video_id"))
    locked = query.order_by(kind.target.id).with_for_update(key_share=True)
    return {row.id: row for row in await connection.execute(locked)}


async def _allow(connection: AsyncConnection, kind: Kind, changes: Sequence[Change]) -> set[Change]:
    """Returns the changes whose users may see the target."""
    distinct = list(dict.fromkeys(changes))
    columns = zip(*((change.user_id, change.role, change.target_id) for change in distinct), strict=True)
    asked = unnest(**dict(zip(("user_id", "role", "target_id"), columns, strict=True)))
    source = asked.join(Video, Video.id == asked.c.target_id)
    if kind is COMMENT:
        is_it = and_(Comment.id == asked.c.target_id, Comment.deleted_at.is_(None))
        is_father = and_(_father.id == Comment.father_id, _father.deleted_at.is_(None))
        source = asked.join(Comment, is_it).join(_father, is_father).join(Video, Video.id == Comment.video_id)
    is_allowed = or_(and_(asked.c.role >= ADMIN, is_live), visible(asked.c.user_id))
    places = await connection.execute(select(asked.c.place).select_from(source).where(is_allowed))
    return {distinct[place - 1] for place in places.scalars()}


async def _like(connection: AsyncConnection, kind: Kind, pairs: list[Pair]) -> tuple[list[Pair], list[Pair]]:
    """Returns the likes by users who never liked the target before, and all likes added."""
    if not pairs:
        return [], []
    asked = _asked(pairs)
    rows = insert(kind.like).from_select(
        [kind.key.key, "user_id"],
        select(asked.c.target_id, asked.c.user_id).order_by(asked.c.target_id, asked.c.user_id),
    )
    again: dict[str, Any] = {"withdrawn": False} | ({"id": rows.excluded.id} if kind is VIDEO else {})
    liked = rows.on_conflict_do_update(index_elements=[kind.key, "user_id"], set_=again, where=kind.like.retracted)
    is_new: ColumnElement[bool] = literal_column(
        "xmax = 0"
    )  # Postgres sets xmax when it updates a row, so this one was inserted
    result = (await connection.execute(liked.returning(kind.key, kind.like.user_id, is_new))).all()
    return [(row[0], row[1]) for row in result if row[2]], [(row[0], row[1]) for row in result]


async def _retract(connection: AsyncConnection, kind: Kind, pairs: list[Pair]) -> list[Pair]:
    if not pairs:
        return []
    asked = _asked(pairs)
    is_it = (kind.key == asked.c.target_id, kind.like.user_id == asked.c.user_id, not_(kind.like.retracted))
    statement = (
        update(kind.like).where(*is_it).values({kind.like.retracted: True}).returning(kind.key, kind.like.user_id)
    )
    return [(target_id, user_id) for target_id, user_id in await connection.execute(statement)]


def _asked(pairs: Sequence[Pair]) -> Any:
    return unnest(target_id=[target_id for target_id, _ in pairs], user_id=[user_id for _, user_id in pairs])


async def _count(connection: AsyncConnection, kind: Kind, steps: dict[int, int]) -> None:
    if steps:
        asked = unnest(id=list(steps), step=list(steps.values()))
        counted = update(kind.target).where(kind.target.id == asked.c.id)
        await connection.execute(counted.values(like_count=kind.target.like_count + asked.c.step))


async def get_liked(connection: AsyncConnection, pairs: Sequence[Pair]) -> list[bool]:
    """Returns whether each user likes the video, in order. Raises BatchTooLarge."""
    check_batch(pairs, MAX_PAIRS)
    asked = _asked(pairs)
    is_it = (VideoLike.video_id == asked.c.target_id, VideoLike.user_id == asked.c.user_id, not_(VideoLike.retracted))
    query = select(exists().where(*is_it)).select_from(asked).order_by(asked.c.place)
    return list((await connection.execute(query)).scalars())


async def delete_likes(connection: AsyncConnection, kind: Kind, user_id: int, most: int) -> int:
    """Deletes at most `most` of a user's likes, in the order of the targets; returns how many."""
    first = select(kind.key).where(kind.like.user_id == user_id).order_by(kind.key).limit(most)
    ids = (await connection.execute(first)).scalars().all()
    await _lock(connection, kind, set(ids))
    gone = delete(kind.like).where(kind.like.user_id == user_id, kind.key.in_(ids))
    rows = (await connection.execute(gone.returning(kind.key, kind.like.retracted))).all()
    await _count(connection, kind, {target_id: -1 for target_id, retracted in rows if not retracted})
    return len(rows)


async def share_video(connection: AsyncConnection, caller: Caller, video_id: int) -> None:
    """Counts one share per user. Raises VideoNotFound."""
    await lock_visible(connection, caller, video_id)
    row = insert(VideoShare).values(video_id=video_id, user_id=caller.user_id).on_conflict_do_nothing()
    if (await connection.execute(row.returning(VideoShare.video_id))).first():
        counted = update(Video).where(Video.id == video_id)
        await connection.execute(counted.values(share_count=Video.share_count + 1))


async def delete_shares(connection: AsyncConnection, user_id: int, most: int) -> int:
    """As delete_likes."""
    first = select(VideoShare.video_id).where(VideoShare.user_id == user_id).order_by(VideoShare.video_id).limit(most)
    ids = (await connection.execute(first)).scalars().all()
    await _lock(connection, VIDEO, set(ids))
    await connection.execute(delete(VideoShare).where(VideoShare.user_id == user_id, VideoShare.video_id.in_(ids)))
    counted = update(Video).where(Video.id.in_(ids)).values(share_count=Video.share_count - 1)
    await connection.execute(counted)
    return len(ids)
