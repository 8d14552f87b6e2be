"""Lists of videos, each read from the index that has its order. No list is counted, sorted or skipped as a whole."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Row, Select, lateral, not_, select, true, union_all
from sqlalchemy.ext.asyncio import AsyncConnection

from protos.media.v1.videos_pb2 import LATEST, POPULAR, RANDOM
from services.kit.context import Caller
from services.kit.cursor import decode_cursor, encode_cursor
from services.kit.ids import Id
from services.media.models import FRIENDS, PRIVATE, PUBLIC
from services.media.pages import Seen, Slice, before, decode_id
from services.media.videos.counters import count_feed, count_owned
from services.media.videos.models import ADMIN, Standing, Video, VideoLike
from services.media.videos.text_search import query_words
from services.media.videos.videos import get_cards
from services.media.videos.visibility import ALL, kinds_for, visible_to

Order = tuple[str, ...]  # columns, each falling
LATEST_FIRST, POPULAR_FIRST, RANDOMLY = ("id",), ("score", "id"), ("random_key", "id")
RANKS: tuple[Any, ...] = (Video.id, Video.score, Video.random_key)
RANDOM_KEYS = (Video.random_key, Video.id)


class Page(NamedTuple):
    videos: Sequence[Row[Any]]
    next_cursor: str
    total: int = 0


async def list_videos(connection: AsyncConnection, viewer: Caller, order: int, part: Slice, seed: int) -> Page:
    """What the viewer may see of all. Raises CursorInvalid."""
    lists: dict[int, Callable[[], Any]] = {
        LATEST: lambda: _latest(connection, viewer, part),
        POPULAR: lambda: _popular(connection, viewer, part),
        RANDOM: lambda: _random(connection, viewer, part, seed),
    }
    ids, next_cursor = await lists.get(order, lists[LATEST])()
    return Page(await get_cards(connection, viewer, ids), next_cursor, await count_feed(connection, viewer))


async def _latest(connection: AsyncConnection, viewer: Caller, part: Slice) -> tuple[list[int], str]:
    rows, more = part.cut(await _read(connection, viewer, LATEST_FIRST, [Video.id < decode_id(part.cursor)], part.size))
    return [row.id for row in rows], encode_cursor(rows[-1].id) if more else ""


async def _popular(connection: AsyncConnection, viewer: Caller, part: Slice) -> tuple[list[int], str]:
    """The most popular of what was not shown yet, so that what rises or falls is neither missed nor repeated."""
    seen = Seen.decode(part.cursor)
    unseen = seen.is_unseen(Video.score, Video.id)
    rows, more = part.cut(await _read(connection, viewer, POPULAR_FIRST, unseen, part.size))
    return [row.id for row in rows], seen.next(rows, "score") if more else ""


async def _random(connection: AsyncConnection, viewer: Caller, part: Slice, seed: int) -> tuple[list[int], str]:
    """One order for all, that of random keys, begun where the seed says and gone around once."""
    start, key, id = decode_cursor(part.cursor, tuple[Id, Id, Id]) or (seed, seed, 0)
    is_around = bool(id) and key >= start
    conditions = [before(RANDOM_KEYS, (key, id)), *([Video.random_key >= start] if is_around else [])]
    rows = await _read(connection, viewer, RANDOMLY, conditions, part.size)
    if not is_around and len(rows) < part.size:
        rows += await _read(connection, viewer, RANDOMLY, [Video.random_key >= start], part.size - len(rows))
    shown, more = part.cut(rows)
    return [row.id for row in shown], encode_cursor(start, shown[-1].random_key, shown[-1].id) if more else ""


async def _read(
    connection: AsyncConnection, viewer: Caller, order: Order, conditions: Sequence[ColumnElement[bool]], size: int
) -> list[Row[Any]]:
    """Ids and ranks out of each index range where the viewer has something to see, merged."""
    ranks: Select[Any] = select(*RANKS)
    found = ranks.where(visible_to(viewer), *conditions)
    found = found.order_by(*(getattr(Video, name).desc() for name in order)).limit(size)
    merged = union_all(*(select(part.subquery()) for part in _ranges(viewer, found))).subquery()
    query = select(merged).order_by(*(merged.c[name].desc() for name in order)).limit(size)
    return list((await connection.execute(query)).all())


def _ranges(viewer: Caller, found: Select[Any]) -> list[Select[Any]]:
    if viewer.role >= ADMIN:
        return [found.where(Video.visibility == kind) for kind in ALL]
    public = found.where(Video.visibility == PUBLIC)
    if not viewer.user_id:
        return [public]
    own = [found.where(Video.owner_id == viewer.user_id, Video.visibility == kind) for kind in (FRIENDS, PRIVATE)]
    of_friend = found.where(Video.owner_id == Standing.peer_id, Video.visibility == FRIENDS)
    theirs = lateral(of_friend.correlate(Standing))
    friends = select(theirs).select_from(Standing).join(theirs, true())
    return [public, *own, friends.where(Standing.user_id == viewer.user_id, Standing.friend)]


async def list_user_videos(connection: AsyncConnection, viewer: Caller, owner_id: int, part: Slice) -> Page:
    """Those of one user that the viewer may see, the newest first. Raises CursorInvalid."""
    older = Video.id < decode_id(part.cursor)
    kinds = await kinds_for(connection, viewer, owner_id)
    if not kinds:
        return Page([], "")
    found = select(Video.id).where(Video.owner_id == owner_id, older, visible_to(viewer))
    found = found.order_by(Video.id.desc()).limit(part.size)
    merged = union_all(*(select(found.where(Video.visibility == kind).subquery()) for kind in kinds)).subquery()
    query = select(merged.c.id).order_by(merged.c.id.desc()).limit(part.size)
    ids, more = part.cut((await connection.execute(query)).scalars().all())
    total = await count_owned(connection, owner_id, kinds)
    return Page(await get_cards(connection, viewer, ids), encode_cursor(ids[-1]) if more else "", total)


async def list_liked_videos(connection: AsyncConnection, viewer: Caller, part: Slice) -> Page:
    """Those that the viewer likes and may still see, the last liked first. Raises CursorInvalid."""
    query = (
        select(VideoLike.id, VideoLike.video_id)
        .join(Video, Video.id == VideoLike.video_id)
        .where(VideoLike.user_id == viewer.user_id, not_(VideoLike.withdrawn), VideoLike.id < decode_id(part.cursor))
        .where(visible_to(viewer))
        .order_by(VideoLike.id.desc())
        .limit(part.size)
    )
    rows, more = part.cut((await connection.execute(query)).all())
    videos = await get_cards(connection, viewer, [row.video_id for row in rows])
    return Page(videos, encode_cursor(rows[-1].id) if more else "")


async def search_videos(connection: AsyncConnection, viewer: Caller, text: str, part: Slice) -> Page:
    """Those with all of the words, the newest first. Raises CursorInvalid."""
    words = query_words(text)
    older = Video.id < decode_id(part.cursor)
    if words is None:
        return Page([], "")
    query = select(Video.id).where(Video.words.op("@@")(words), older, visible_to(viewer))
    found = (await connection.execute(query.order_by(Video.id.desc()).limit(part.size))).scalars().all()
    ids, more = part.cut(found)
    return Page(await get_cards(connection, viewer, ids), encode_cursor(ids[-1]) if more else "")
