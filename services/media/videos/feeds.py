"""Lists of videos. Each is read in the order of an index; none is counted, sorted or skipped as a whole."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple
from typing import cast as typed

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    DateTime,
    Row,
    Select,
    bindparam,
    cast,
    lateral,
    not_,
    null,
    select,
    true,
    union_all,
)

from protos.media.v1.videos_pb2 import LATEST, POPULAR, RANDOM
from services.kit.context import Caller
from services.kit.cursor import decode_cursor, encode_cursor
from services.kit.ids import MAX_ID, Id
from services.kit.pages import before, id_before
from services.kit.roles import is_admin
from services.kit.sql.connection import AsyncConnection
from services.media.models import FRIENDS, PRIVATE, PUBLIC
from services.media.relationships.models import Relationship
from services.media.videos.list_totals import count_feed, count_owned
from services.media.videos.models import Video, VideoLike
from services.media.videos.pages import PageRequest, ShownRows, start_below
from services.media.videos.pinned_videos import MAX_PINNED
from services.media.videos.texts.text_search import CANDIDATES, query_slips, query_words, relevance
from services.media.videos.videos import get_cards
from services.media.videos.visibility import ALL_VISIBILITIES, ForViewers, is_shown, visibilities_for, visible_to

Order = tuple[str, ...]  # columns, each descending
LATEST_FIRST, POPULAR_FIRST, RANDOMLY = ("id",), ("score", "id"), ("random_key", "id")
RANKS: tuple[Any, ...] = (Video.id, Video.score, Video.random_key)
RANDOM_KEYS = (Video.random_key, Video.id)


class VideoPage(NamedTuple):
    """A video is its row, or its id alone."""

    videos: Sequence[Row[Any] | int]
    next_cursor: str
    total: int = 0


async def list_videos(
    connection: AsyncConnection, viewer: Caller, order: int, page: PageRequest, seed: int, public_as_ids: bool = False
) -> VideoPage:
    """All videos that the viewer may see; `public_as_ids`: of the public ones only the ids. Raises CursorInvalid."""
    lists: dict[int, Callable[[], Any]] = {
        LATEST: lambda: _latest(connection, viewer, page),
        POPULAR: lambda: _popular(connection, viewer, page),
        RANDOM: lambda: _random(connection, viewer, page, seed),
    }
    ids, next_cursor = await lists.get(order, lists[LATEST])()
    videos: Sequence[Row[Any] | int] = await get_cards(connection, viewer, ids, but_public=public_as_ids)
    if public_as_ids:
        others = {row.id: row for row in typed(Sequence[Row[Any]], videos)}
        videos = [others.get(id, id) for id in ids]
    return VideoPage(videos, next_cursor, await count_feed(connection, viewer))


async def _latest(connection: AsyncConnection, viewer: Caller, page: PageRequest) -> tuple[list[int], str]:
    rows, more = page.cut(await _read(connection, viewer, LATEST_FIRST, [Video.id < id_before(page.cursor)], page.size))
    return [row.id for row in rows], encode_cursor(rows[-1].id) if more else ""


async def _popular(connection: AsyncConnection, viewer: Caller, page: PageRequest) -> tuple[list[int], str]:
    """The most popular of the videos not shown yet: one whose rank changes is neither missed nor repeated."""
    shown = ShownRows.decode(page.cursor)
    unseen = shown.is_new(Video.score, Video.id)
    rows, more = page.cut(await _read(connection, viewer, POPULAR_FIRST, unseen, page.size))
    return [row.id for row in rows], shown.next(rows, "score") if more else ""


async def _random(connection: AsyncConnection, viewer: Caller, page: PageRequest, seed: int) -> tuple[list[int], str]:
    """All viewers share the order of the random keys; the list starts at the seed and wraps around once."""
    start, key, id = decode_cursor(page.cursor, tuple[Id, Id, Id]) or (seed, seed, 0)
    has_wrapped = bool(id) and key >= start
    conditions = [before(RANDOM_KEYS, (key, id)), *([Video.random_key >= start] if has_wrapped else [])]
    rows = await _read(connection, viewer, RANDOMLY, conditions, page.size)
    if not has_wrapped and len(rows) < page.size:
        rows += await _read(connection, viewer, RANDOMLY, [Video.random_key >= start], page.size - len(rows))
    shown, more = page.cut(rows)
    return [row.id for row in shown], encode_cursor(start, shown[-1].random_key, shown[-1].id) if more else ""


async def _read(
    connection: AsyncConnection, viewer: Caller, order: Order, conditions: Sequence[ColumnElement[bool]], size: int
) -> list[Row[Any]]:
    """Merges ids and ranks from each index range in which the viewer may see videos."""
    ranks: Select[Any] = select(*RANKS)
    found = ranks.where(visible_to(viewer), *conditions)
    found = found.order_by(*(getattr(Video, name).desc() for name in order)).limit(size)
    merged = union_all(*(select(part.subquery()) for part in _ranges(viewer, found))).subquery()
    query = select(merged).order_by(*(merged.c[name].desc() for name in order)).limit(size)
    return list((await connection.execute(query)).all())


def _ranges(viewer: Caller, found: Select[Any]) -> list[Select[Any]]:
    if is_admin(viewer.role):
        return [found.where(Video.visibility == visibility) for visibility in ALL_VISIBILITIES]
    public = found.where(Video.visibility == PUBLIC)
    if not viewer.user_id:
        return [public]
    mine = found.where(Video.owner_id == viewer.user_id)
    own = [mine.where(Video.visibility == visibility) for visibility in (FRIENDS, PRIVATE)]
    of_friend = found.where(Video.owner_id == Relationship.peer_id, Video.visibility == FRIENDS)
    theirs = lateral(of_friend.correlate(Relationship))
    friends = select(theirs).select_from(Relationship).join(theirs, true())
    return [public, *own, friends.where(Relationship.user_id == viewer.user_id, Relationship.friend)]


async def list_user_videos(connection: AsyncConnection, viewer: Caller, owner_id: int, page: PageRequest) -> VideoPage:
    """One user's videos that the viewer may see, those that the user pinned first, then newest first. Raises
    CursorInvalid."""
    visibilities = await visibilities_for(connection, viewer, owner_id)
    if not visibilities:
        return VideoPage([], "")
    below, shown = start_below(page.cursor, most=2 * MAX_PINNED)
    query = _of_owner(viewer, owner_id, visibilities, page.size, below, shown)
    rows, more = page.cut((await connection.execute(query)).all())
    cursor = _after(rows, below, shown) if more else ""
    total = await count_owned(connection, owner_id, visibilities)
    return VideoPage(await get_cards(connection, viewer, [row.id for row in rows]), cursor, total)


def _of_owner(
    viewer: Caller, owner_id: int, visibilities: Sequence[int], size: int, below: int, shown: Sequence[int]
) -> Select[Any]:
    """Pinned ones only come first, before any other was shown; later pages leave out those `shown`, whatever is pinned
    meanwhile."""
    columns: tuple[Any, ...] = (Video.id, Video.pinned_at)
    owned: Select[Any] = select(*columns).where(Video.owner_id == owner_id, visible_to(viewer))
    owned = owned.where(Video.id.not_in(shown)) if shown else owned
    pinned = owned.where(Video.pinned_at.is_not(None), Video.visibility.in_(visibilities)).limit(MAX_PINNED)
    unpinned: Any = cast(null(), DateTime(timezone=True)).label("pinned_at")
    rest = owned.with_only_columns(Video.id, unpinned).where(Video.id < below).order_by(Video.id.desc()).limit(size)
    is_first = below == MAX_ID
    parts = [rest.where(Video.visibility == each, *([Video.pinned_at.is_(None)] * is_first)) for each in visibilities]
    merged = union_all(*(select(part.subquery()) for part in [*([pinned] * is_first), *parts])).subquery().c
    return (
        select(merged.id, merged.pinned_at).order_by(merged.pinned_at.desc().nulls_last(), merged.id.desc()).limit(size)
    )


def _after(rows: Sequence[Any], below: int, shown: Sequence[int]) -> str:
    """The cursor: the last of the videos that are not pinned, and the pinned ones shown."""
    pinned = [row.id for row in rows if row.pinned_at is not None]
    last = rows[-1].id if len(pinned) < len(rows) else below
    return encode_cursor(last, *shown, *pinned)


_liked: Any = (
    select(VideoLike.id, VideoLike.video_id, Video.visibility)
    .join(Video, Video.id == VideoLike.video_id)
    .where(VideoLike.user_id == bindparam("liker", type_=BigInteger), not_(VideoLike.retracted))
    .where(VideoLike.id < bindparam("before", type_=BigInteger))
    .order_by(VideoLike.id.desc())
    .limit(bindparam("most", type_=BigInteger))
)
LIKED = ForViewers(_liked)


async def list_liked_videos(
    connection: AsyncConnection, viewer: Caller, page: PageRequest, public_as_ids: bool = False
) -> VideoPage:
    """Videos that the viewer likes and may still see, last liked first; `public_as_ids`: of the public ones only the
    ids. Raises CursorInvalid."""
    which = {"liker": viewer.user_id, "before": id_before(page.cursor), "most": page.size}
    rows, more = page.cut(await LIKED.fetch(connection, viewer, **which))
    as_ids = {row.video_id: row.video_id for row in rows if public_as_ids and row.visibility == PUBLIC}
    asked = [row.video_id for row in rows if row.video_id not in as_ids]
    cards = {row.id: row for row in await get_cards(connection, viewer, asked)} if asked else {}
    videos = [as_ids.get(row.video_id) or cards[row.video_id] for row in rows if row.video_id in as_ids | cards]
    return VideoPage(videos, encode_cursor(rows[-1].id) if more else "")


async def search_videos(connection: AsyncConnection, viewer: Caller, text: str, page: PageRequest) -> VideoPage:
    """Videos with all of the words, the most relevant first; if there are none, one page of those that have them but
    for a slip. Raises CursorInvalid."""
    found = await _search(connection, viewer, query_words(text), page)
    if found.videos or page.cursor:
        return found
    return (await _search(connection, viewer, query_slips(text), page))._replace(next_cursor="")


async def _search(
    connection: AsyncConnection, viewer: Caller, words: ColumnElement[str] | None, page: PageRequest
) -> VideoPage:
    shown = ShownRows.decode(page.cursor)
    if words is None:
        return VideoPage([], "")
    matching = select(Video.__table__).where(Video.words.op("@@")(words), is_shown, visible_to(viewer))
    candidate = matching.order_by(Video.score.desc()).limit(CANDIDATES).subquery().c
    rank = relevance(candidate, words)
    query = select(candidate.id, rank.label("relevance")).where(*shown.is_new(rank, candidate.id))
    found = (await connection.execute(query.order_by(rank.desc(), candidate.id.desc()).limit(page.size))).all()
    rows, more = page.cut(found)
    cursor = shown.next(rows, "relevance") if more else ""
    return VideoPage(await get_cards(connection, viewer, [row.id for row in rows]), cursor)
