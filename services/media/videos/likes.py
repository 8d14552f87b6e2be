"""Likes of videos and of comments. The row is the truth; the counter moves only when a row changes.

The changes of many users are written by one statement, in the order they arrived (the servicers batch them). The rows
with the counters are locked first, in the order of their ids, as everywhere.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import (
    BigInteger,
    Boolean,
    ColumnElement,
    Integer,
    Select,
    and_,
    column,
    delete,
    exists,
    func,
    literal_column,
    not_,
    or_,
    select,
    text,
    union_all,
    update,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import aliased

from services.kit.context import Caller
from services.kit.db import one_of
from services.kit.pages import check_batch, unnest
from services.kit.roles import ADMIN
from services.kit.sql.connection import AsyncConnection
from services.kit.sql.statements import Statement
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
# The limit tells the planner that there are few, else it reads whole tables for the hundred that it expects.
ASKED = text("""SELECT * FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS row (place int, user_id bigint,
 is_admin boolean, target_id bigint, liked boolean, is_last boolean)
 LIMIT jsonb_array_length(CAST(:rows AS jsonb))""").columns(
    column("place", Integer),
    *(column(name, BigInteger) for name in ("user_id", "target_id")),
    *(column(name, Boolean) for name in ("is_admin", "liked", "is_last")),
)


async def change_likes(connection: AsyncConnection, kind: Kind, changes: Sequence[Change]) -> list[Outcome]:
    """Returns one outcome for each change, in order."""
    last = {(change.target_id, change.user_id): place for place, change in enumerate(changes)}
    rows = [
        {
            "place": place,
            "user_id": change.user_id,
            "is_admin": change.role >= ADMIN,
            "target_id": change.target_id,
            "liked": change.liked,
            "is_last": last[change.target_id, change.user_id] == place,
        }
        for place, change in enumerate(changes)
    ]
    written = await connection.fetch(WRITE[kind.like], rows=msgspec.json.encode(rows).decode())
    seen = {row.place: Outcome(row.video_id) for row in written}
    return [seen.get(place, Outcome()) for place in range(len(changes))]


class _Allowed(NamedTuple):
    place: int
    video_id: int


def _statement(kind: Kind) -> Select[Any]:
    """Likes of users who may see the target, which is locked; of a pair's changes in one batch the last counts."""
    asked: Any = ASKED.cte("asked")
    targets = select(kind.target.id).where(
        kind.target.id.in_(select(asked.c.target_id)), kind.target.deleted_at.is_(None)
    )
    locked: Any = targets.order_by(kind.target.id).with_for_update(key_share=True).cte("locked")
    source = asked.join(locked, locked.c.id == asked.c.target_id)
    if kind is COMMENT:
        is_father = and_(_father.id == Comment.father_id, _father.deleted_at.is_(None))
        source = source.join(Comment, Comment.id == locked.c.id).join(_father, is_father)
        source = source.join(Video, Video.id == Comment.video_id)
    else:
        source = source.join(Video, Video.id == locked.c.id)
    owner = (Comment.user_id if kind is COMMENT else Video.owner_id).label("owner_id")
    is_allowed = or_(and_(asked.c.is_admin, is_live), visible(asked.c.user_id))
    columns = (asked, Video.id.label("video_id"), owner)
    allowed: Any = select(*columns).select_from(source).where(is_allowed).cte("allowed")
    liked, retracted = _likes(kind, allowed), _retractions(kind, allowed)
    is_its = and_(allowed.c.target_id == liked.c.target_id, allowed.c.user_id == liked.c.user_id, allowed.c.is_last)
    fresh = select(allowed).join(liked, is_its).where(liked.c.is_new).subquery("fresh")
    told = events.liked("video" if kind is VIDEO else "comment", fresh)
    return select(allowed.c.place, allowed.c.video_id).add_cte(_count_all(kind, liked, retracted), told)


def _likes(kind: Kind, allowed: Any) -> Any:
    wanted = select(allowed.c.target_id, allowed.c.user_id).where(allowed.c.liked, allowed.c.is_last)
    rows = insert(kind.like).from_select(
        [kind.key.key, "user_id"], wanted.order_by(allowed.c.target_id, allowed.c.user_id)
    )
    again: dict[str, Any] = {"withdrawn": False} | ({"id": rows.excluded.id} if kind is VIDEO else {})
    liked = rows.on_conflict_do_update(index_elements=[kind.key, "user_id"], set_=again, where=kind.like.retracted)
    is_new: ColumnElement[bool] = literal_column(
        "xmax = 0"
    )  # Postgres sets xmax when it updates a row, so this one was inserted
    return liked.returning(kind.key.label("target_id"), kind.like.user_id, is_new.label("is_new")).cte("liked")


def _retractions(kind: Kind, allowed: Any) -> Any:
    is_it = (kind.key == allowed.c.target_id, kind.like.user_id == allowed.c.user_id, not_(kind.like.retracted))
    gone = update(kind.like).where(*is_it, not_(allowed.c.liked), allowed.c.is_last)
    return gone.values({kind.like.retracted: True}).returning(kind.key.label("target_id")).cte("retracted")


def _count_all(kind: Kind, liked: Any, retracted: Any) -> Any:
    one: ColumnElement[int] = literal_column("1")
    moves = union_all(select(liked.c.target_id, one.label("step")), select(retracted.c.target_id, -one)).subquery()
    steps = select(moves.c.target_id, func.sum(moves.c.step).label("step")).group_by(moves.c.target_id).subquery()
    counted = update(kind.target).where(kind.target.id == steps.c.target_id, steps.c.step != 0)
    counted = counted.values(like_count=kind.target.like_count + steps.c.step)
    return counted.returning(kind.target.id).cte("counted")


WRITE = {kind.like: Statement(_statement(kind), _Allowed) for kind in (VIDEO, COMMENT)}


async def _lock(connection: AsyncConnection, kind: Kind, ids: set[int]) -> None:
    locked = select(kind.target.id).where(one_of(kind.target.id, sorted(ids)), kind.target.deleted_at.is_(None))
    await connection.execute(locked.order_by(kind.target.id).with_for_update(key_share=True))


async def _count(connection: AsyncConnection, kind: Kind, steps: dict[int, int]) -> None:
    if steps:
        asked = unnest("ids", "steps")
        counted = update(kind.target).where(kind.target.id == asked.c.ids)
        counted = counted.values(like_count=kind.target.like_count + asked.c.steps)
        await connection.execute(counted, {"ids": list(steps), "steps": list(steps.values())})


def _liked() -> Select[Any]:
    asked = unnest("target_id", "user_id")
    is_it = (VideoLike.video_id == asked.c.target_id, VideoLike.user_id == asked.c.user_id, not_(VideoLike.retracted))
    return select(exists().where(*is_it)).select_from(asked).order_by(asked.c.place)


LIKED: Statement[Any] = Statement(_liked())


async def get_liked(connection: AsyncConnection, pairs: Sequence[Pair]) -> list[bool]:
    """Returns whether each user likes the video, in order. Raises BatchTooLarge."""
    check_batch(pairs, MAX_PAIRS)
    targets, users = [target_id for target_id, _ in pairs], [user_id for _, user_id in pairs]
    return [is_it for (is_it,) in await connection.fetch(LIKED, target_id=targets, user_id=users)]


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
