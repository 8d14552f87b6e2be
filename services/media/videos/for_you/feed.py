"""Pages of the feed that is made for a viewer.

A list of LENGTH videos is made at once; its pages only check again what the viewer may see and wants to see.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import ARRAY, BigInteger, Row, any_, bindparam, select

from protos.media.v1.videos_pb2 import LATEST, WHY_LATEST
from services.kit.context import Caller
from services.kit.cursor import decode_cursor
from services.kit.ids import Id
from services.kit.sql.connection import AsyncConnection
from services.kit.sql.statements import Statement
from services.media.videos import feeds
from services.media.videos.feeds import VideoPage
from services.media.videos.for_you import mixing
from services.media.videos.for_you.candidates import find_candidates, is_wanted
from services.media.videos.for_you.pool import Pool
from services.media.videos.for_you.ranked_lists import LENGTH, Left, RankedList
from services.media.videos.for_you.scoring import rate
from services.media.videos.for_you.settings import KEPT_OUT, SETTING, KeptOut
from services.media.videos.for_you.tastes import ACTS, Act, Taste, taste_of
from services.media.videos.models import Video
from services.media.videos.pages import PageRequest
from services.media.videos.videos import get_cards


class ForYouPage(NamedTuple):
    """`whys`: one for each video."""

    page: VideoPage
    whys: Sequence[int]


class Viewer(NamedTuple):
    """`acts`: None if they were not read."""

    id: int
    kept_out: KeptOut = KeptOut()
    acts: Sequence[Act] | None = None
    is_chronological: bool = False


class _Shown(NamedTuple):
    id: int
    owner_id: int
    tags: Sequence[str]


_among = Video.id == any_(bindparam("ids", type_=ARRAY(BigInteger)))
STILL_WANTED = Statement(select(Video.id, Video.owner_id, Video.tags).where(_among, *is_wanted), _Shown)


async def list_for_you(
    connection: AsyncConnection, viewer: Caller, pool: Pool, page: PageRequest, public_as_ids: bool = False
) -> ForYouPage:
    """`public_as_ids`: the videos' ids, as all are public. Raises CursorInvalid."""
    position = decode_cursor(page.cursor, tuple[Id | str])
    known = await read_viewer(connection, viewer.user_id, with_acts=position is None)
    if known.is_chronological if position is None else not isinstance(position[0], str):
        latest = await feeds.list_videos(connection, viewer, LATEST, page, 0, public_as_ids)
        return ForYouPage(latest, [WHY_LATEST] * len(latest.videos))
    ranked = RankedList.unpack(str(position[0])) if position else RankedList()
    shown, ranked = await _read(connection, known, pool, ranked, page.limit)
    cards: dict[int, Row[Any] | int] = {each.id: each.id for each in shown}
    if not public_as_ids:
        cards = {row.id: row for row in await get_cards(connection, viewer, list(cards))}
    shown = [each for each in shown if each.id in cards]
    cursor = "" if ranked.is_last and not ranked.left else ranked.pack()
    return ForYouPage(VideoPage([cards[each.id] for each in shown], cursor), [each.why for each in shown])


async def read_viewer(connection: AsyncConnection, user_id: int, *, with_acts: bool) -> Viewer:
    if not user_id:
        return Viewer(0, acts=())
    statements: list[Statement[Any]] = [SETTING, KEPT_OUT, *([ACTS] if with_acts else [])]
    asked = [statement.bind(viewer=user_id) for statement in statements]
    settings, kept_out, *acts = await connection.fetch_each(*asked)
    is_chronological = any(setting.chronological for setting in settings)
    return Viewer(user_id, KeptOut.of(kept_out), acts[0] if acts else None, is_chronological)


async def taste_of_viewer(connection: AsyncConnection, viewer: Viewer, pool: Pool) -> Taste:
    acts = await connection.fetch(ACTS, viewer=viewer.id) if viewer.acts is None else viewer.acts
    return taste_of(acts, pool.rarity)


async def _read(
    connection: AsyncConnection, viewer: Viewer, pool: Pool, ranked: RankedList, size: int
) -> tuple[list[Left], RankedList]:
    """The videos of a page, and what is left after it."""
    found: list[Left] = []
    left, shown, is_last = await _still_wanted(connection, viewer, ranked.left), list(ranked.shown), ranked.is_last
    while True:
        taken, left = left[: size - len(found)], left[size - len(found) :]
        found += taken
        shown += [each.id for each in taken]
        if len(found) >= size or is_last:
            return found, RankedList(left, shown, is_last)
        left, is_last = await _rank(connection, viewer, pool, shown)


async def _still_wanted(connection: AsyncConnection, viewer: Viewer, left: Sequence[Left]) -> list[Left]:
    """What the viewer may see and has neither seen nor kept out since the list was made."""
    if not left:
        return []
    rows = await connection.fetch(STILL_WANTED, viewer=viewer.id, ids=[each.id for each in left])
    wanted = {row.id for row in rows if not viewer.kept_out.has(row.id, row.owner_id, row.tags)}
    return [each for each in left if each.id in wanted]


async def _rank(
    connection: AsyncConnection, viewer: Viewer, pool: Pool, shown: Sequence[int]
) -> tuple[list[Left], bool]:
    """A new list, and whether it has all that there is."""
    taste, before = await taste_of_viewer(connection, viewer, pool), set(shown)
    candidates = await find_candidates(connection, viewer.id, taste, pool, LENGTH, before)
    rated = [
        rate(each, taste, pool)
        for each in candidates
        if each.id not in before and not viewer.kept_out.has(each.id, each.owner_id, each.tags)
    ]
    return [Left(each.id, each.why) for each in mixing.mix(rated, LENGTH)], len(rated) <= LENGTH
