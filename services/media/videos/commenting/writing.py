"""Writes the comments and replies of one moment: rows, counts and events, in one statement.

Locks are taken as everywhere: videos by id, then the first comments of threads by id. They keep others from deleting
what is commented on. What may not be written is left out, and its writer told so.
"""

from collections.abc import Mapping, Sequence, Set
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import (
    CTE,
    BigInteger,
    Boolean,
    Select,
    Text,
    and_,
    column,
    func,
    insert,
    literal,
    not_,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import aliased

from services.entities.parsing import names_in, text_of
from services.kit import telemetry
from services.kit.context import Caller
from services.kit.roles import is_admin
from services.kit.sql.connection import AsyncConnection
from services.kit.sql.statements import Statement
from services.kit.texts.text_search import texts_in
from services.media import events
from services.media.errors import CommentInvalid, CommentNotFound, CommentsClosed, VideoNotFound
from services.media.videos.commenting.rights import may_comment
from services.media.videos.models import Comment, Video
from services.media.videos.texts.texts import who_may_see
from services.media.videos.visibility import is_live, visible

MAX_CONTENT = 8_192  # bytes of JSON
EMPTY: Set[int] = frozenset()


_columns: dict[str, Any] = {"id": BigInteger, "user_id": BigInteger, "video_id": BigInteger, "reply_to_id": BigInteger}
_columns |= {"is_admin": Boolean, "content": Text, "said": Text, "trace": Text, "mentions": JSONB}
# The limit tells the planner that there are few, else it reads whole tables for the hundred that it expects.
ASKED = text("""SELECT * FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS row (id bigint, user_id bigint,
 video_id bigint, reply_to_id bigint, is_admin boolean, content text, said text, trace text, mentions jsonb)
 LIMIT jsonb_array_length(CAST(:rows AS jsonb))""").columns(*(column(name, kind) for name, kind in _columns.items()))


class NewComment(NamedTuple):
    """On the video, or in answer to the comment `reply_to_id`. `said`: the texts in its content."""

    id: int
    user_id: int
    is_admin: bool
    video_id: int
    reply_to_id: int
    content: str
    said: str
    trace: str
    mentions: Mapping[str, int]


def new_comment(
    caller: Caller, id: int, content: bytes, users: Mapping[str, int], *, video_id: int = 0, reply_to_id: int = 0
) -> NewComment:
    """`users`: by name, those who may be mentioned. Raises CommentInvalid."""
    if len(content) > MAX_CONTENT:
        raise CommentInvalid
    try:
        value, shown = msgspec.json.decode(content), content.decode()
        said = " ".join(texts_in(value))[: events.MAX_TEXT].replace("\0", "")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise CommentInvalid from None
    about = (id, caller.user_id, is_admin(caller.role), video_id, reply_to_id)
    mentions = {name: users[name] for name in names_in(text_of(value)) if name in users}
    return NewComment(*about, shown, said, telemetry.here(), mentions)


async def write_comments(connection: AsyncConnection, comments: Sequence[NewComment]) -> list[Any]:
    """The row of each, or VideoNotFound or CommentNotFound, as what the user may not see does not exist for them; or
    CommentsClosed."""
    rows = msgspec.json.encode([comment._asdict() for comment in comments]).decode()
    written = {row.id: row for row in await connection.fetch(WRITE, rows=rows)}
    if saying := {comment.id: comment for comment in comments if comment.mentions and comment.id in written}:
        await tell_mentioned(connection, [written[id] for id in saying], saying)
    closed: set[int] = set()
    if len(written) < len(comments):
        closed = {id for (id,) in await connection.fetch(CLOSED, rows=rows)}
    return [written.get(comment.id) or _refusal(comment, comment.id in closed) for comment in comments]


def _refusal(comment: NewComment, is_closed: bool) -> Exception:
    if is_closed:
        return CommentsClosed()
    return CommentNotFound() if comment.reply_to_id else VideoNotFound()


async def tell_mentioned(
    connection: AsyncConnection, rows: Sequence[Any], saying: Mapping[int, NewComment], told_before: Set[int] = EMPTY
) -> None:
    """Those who may see it; whoever is answered hears of the answer already."""
    asked = [
        (row, user_id)
        for row in rows
        for user_id in sorted({*row.mentions.values()} - {row.user_id, row.owner_id} - told_before)
    ]
    may_see = await who_may_see(connection, [(row.video_id, user_id) for row, user_id in asked])
    told: dict[int, list[int]] = {}
    for (row, user_id), is_seen in zip(asked, may_see, strict=True):
        if is_seen:
            told.setdefault(row.id, []).append(user_id)
    about = [(row, told[row.id], saying[row.id].said, saying[row.id].trace) for row in rows if row.id in told]
    await events.comments_mention(connection, about)


def _statement() -> Select[Any]:
    allowed = _allowed()
    threads = select(Comment.id).where(Comment.id.in_(select(allowed.c.thread)), Comment.deleted_at.is_(None))
    locked: Any = threads.order_by(Comment.id).with_for_update(key_share=True).cte("threads")
    fits = and_(allowed.c.may, or_(allowed.c.reply_to_id == 0, allowed.c.thread.in_(select(locked.c.id))))
    owner = func.coalesce(allowed.c.answered_id, allowed.c.video_owner_id)
    father_id = func.coalesce(allowed.c.father_id, allowed.c.id)
    names = ("id", "video_id", "father_id", "reply_to_id", "user_id", "owner_id", "content", "mentions")
    values = (allowed.c.id, allowed.c.target_id, father_id, allowed.c.reply_to_id, allowed.c.user_id, owner)
    rows = select(*values, allowed.c.content, allowed.c.mentions).where(fits).order_by(allowed.c.id)
    written = insert(Comment).from_select(names, rows).returning(*Comment.__table__.c).cte("written")
    told = events.comments_written(allowed, fits, owner, father_id)
    unpinned = literal(None, BigInteger).label("pinned_comment_id")
    return select(written, unpinned).add_cte(_count_in_videos(written), _count_in_threads(written), told)


def _allowed() -> CTE:
    """Those whose users may see the video, which is locked, and whose answered comment is there."""
    asked: Any = ASKED.cte("asked")
    answered, father = aliased(Comment), aliased(Comment)
    is_answered = and_(answered.id == asked.c.reply_to_id, answered.deleted_at.is_(None))
    is_father = and_(father.id == answered.father_id, father.deleted_at.is_(None))
    target = func.coalesce(answered.video_id, asked.c.video_id).label("target_id")
    about: tuple[Any, ...] = (answered.father_id, answered.user_id.label("answered_id"), father.id.label("thread"))
    found = select(asked, target, *about).select_from(asked)
    placed: Any = found.outerjoin(answered, is_answered).outerjoin(father, is_father).cte("placed")
    videos = select(Video.id).where(Video.id.in_(select(placed.c.target_id)), is_live)
    locked: Any = videos.order_by(Video.id).with_for_update(key_share=True).cte("locked")
    is_seen = or_(and_(placed.c.is_admin, is_live), visible(placed.c.user_id))
    may = may_comment(placed.c.user_id).label("may")
    shown = select(placed, may, Video.owner_id.label("video_owner_id")).join(locked, locked.c.id == placed.c.target_id)
    return shown.join(Video, Video.id == locked.c.id).where(is_seen).cte("allowed")


def _count_in_videos(written: CTE) -> CTE:
    steps = select(written.c.video_id, func.count().label("step")).group_by(written.c.video_id).subquery()
    counted = update(Video).where(Video.id == steps.c.video_id)
    return counted.values(comment_count=Video.comment_count + steps.c.step).returning(Video.id).cte("in_videos")


def _count_in_threads(written: CTE) -> CTE:
    replies = select(written.c.father_id, func.count().label("step")).where(written.c.reply_to_id != 0)
    steps = replies.group_by(written.c.father_id).subquery()
    counted = update(Comment).where(Comment.id == steps.c.father_id)
    return counted.values(reply_count=Comment.reply_count + steps.c.step).returning(Comment.id).cte("in_threads")


def _closed() -> Select[Any]:
    allowed = _allowed()
    return select(allowed.c.id).where(not_(allowed.c.may))


WRITE: Statement[Any] = Statement(_statement())
CLOSED: Statement[Any] = Statement(_closed())  # those whose users see the video, but may not comment on it
