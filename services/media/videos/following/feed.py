"""The videos of those whom a user follows, newest first, read when they are asked for.

Who follows few is read owner by owner. Who follows many finds most of a page among the newest public videos of all; if
not, the newest video of each owner says which owners can be on the page. Neither sorts or skips a whole list.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import Row, delete, text

from services.kit.context import Caller
from services.kit.cursor import encode_cursor
from services.kit.ids import MAX_ID
from services.kit.pages import id_before
from services.kit.sql.connection import AsyncConnection
from services.media.models import FRIENDS, PUBLIC
from services.media.videos.feeds import VideoPage
from services.media.videos.following.models import FollowingSeen
from services.media.videos.pages import PageRequest
from services.media.videos.videos import get_cards

FEW = 200  # followed users
WINDOW = 3_000  # of the newest public videos
MAX_UNSEEN = 99

_FOLLOWED = "user_id = :viewer AND follows AND NOT (blocks OR blocked)"
_RANGE = "deleted_at IS NULL AND id < :before AND id > :after"
ABOUT = text(f"""SELECT (SELECT count(*) FROM (SELECT FROM standing WHERE {_FOLLOWED} LIMIT :few + 1) AS first) > :few
  AS follows_many, EXISTS (SELECT FROM standing WHERE {_FOLLOWED} AND friend) AS follows_friends,
 coalesce((SELECT video_id FROM following_seen WHERE user_id = :viewer), 0) AS seen_id""")  # noqa: S608
# Stops at the last of a page, since each lookup with a limit is a step of a loop in the order of the ids.
AMONG_NEWEST = text(f"""SELECT newest.id FROM (SELECT id, owner_id FROM video
  WHERE visibility = {PUBLIC} AND {_RANGE} ORDER BY id DESC LIMIT :window) AS newest
 CROSS JOIN LATERAL (SELECT FROM standing WHERE peer_id = newest.owner_id AND {_FOLLOWED} LIMIT 1) AS followed
 ORDER BY newest.id DESC LIMIT :size""")  # noqa: S608
HAS_OLDER = text(f"""SELECT EXISTS (SELECT FROM video
 WHERE visibility = {PUBLIC} AND {_RANGE} ORDER BY id DESC OFFSET :window LIMIT 1)""")  # noqa: S608


def _of_owners(visibility: int, which: str = "") -> str:
    """The newest `size` videos are by owners among the `size` whose newest ones are the newest."""
    newest = f"""SELECT id FROM video WHERE owner_id = peer_id AND visibility = {visibility} AND {_RANGE}
   ORDER BY id DESC LIMIT"""  # noqa: S608
    return f"""SELECT newest.id FROM (SELECT peer_id FROM standing CROSS JOIN LATERAL ({newest} 1) AS head
   WHERE {_FOLLOWED} {which} ORDER BY head.id DESC LIMIT :size) AS heads
  CROSS JOIN LATERAL ({newest} :size) AS newest"""  # noqa: S608


BY_OWNER = text(f"{_of_owners(PUBLIC)} ORDER BY 1 DESC LIMIT :size")
FOR_FRIENDS = text(f"{_of_owners(FRIENDS, 'AND friend')} ORDER BY 1 DESC LIMIT :size")
MARK = text("""INSERT INTO following_seen AS s (user_id, video_id) VALUES (:viewer, :video)
 ON CONFLICT (user_id) DO UPDATE SET video_id = greatest(s.video_id, excluded.video_id), seen_at = now()""")


class FollowedPage(NamedTuple):
    """`seen_id`: the newest video that the viewer has marked as seen; 0 if none."""

    page: VideoPage
    seen_id: int


class _About(NamedTuple):
    follows_many: bool
    follows_friends: bool
    seen_id: int


async def list_followed(
    connection: AsyncConnection, viewer: Caller, page: PageRequest, public_as_ids: bool = False
) -> FollowedPage:
    """`public_as_ids`: of the public videos only the ids. Raises CursorInvalid."""
    before, about = id_before(page.cursor), await _about(connection, viewer)
    public, for_friends = await _read(connection, viewer, about, page.size, before)
    ids, more = page.cut(_merge(public, for_friends, page.size))
    asked = [id for id in ids if id in for_friends] if public_as_ids else ids
    cards: dict[int, Row[Any] | int] = (
        {row.id: row for row in await get_cards(connection, viewer, asked)} if asked else {}
    )
    if public_as_ids:
        cards |= {id: id for id in ids if id not in for_friends}
    videos = [cards[id] for id in ids if id in cards]
    return FollowedPage(VideoPage(videos, encode_cursor(ids[-1]) if more else ""), about.seen_id)


async def _about(connection: AsyncConnection, viewer: Caller) -> _About:
    return _About(*(await connection.execute(ABOUT, {"viewer": viewer.user_id, "few": FEW})).one())


async def _read(
    connection: AsyncConnection, viewer: Caller, about: _About, size: int, before: int = MAX_ID, after: int = 0
) -> tuple[Sequence[int], Sequence[int]]:
    """The ids of public videos, and of those for friends."""
    values = {"viewer": viewer.user_id, "size": size, "before": before, "after": after}
    public: Sequence[int] = []
    is_whole = False
    if about.follows_many:
        window = {"window": WINDOW}
        public = (await connection.execute(AMONG_NEWEST, values | window)).scalars().all()
        if len(public) < size:
            of_range = {"before": before, "after": after} | window
            is_whole = not (await connection.execute(HAS_OLDER, of_range)).scalar_one()
    if len(public) < size and not is_whole:
        public = (await connection.execute(BY_OWNER, values)).scalars().all()
    if not about.follows_friends:
        return public, []
    return public, (await connection.execute(FOR_FRIENDS, values)).scalars().all()


def _merge(public: Sequence[int], for_friends: Sequence[int], size: int) -> list[int]:
    return sorted({*public, *for_friends}, reverse=True)[:size]


async def mark_seen(connection: AsyncConnection, viewer: Caller, video_id: int) -> None:
    """Marks it and all older ones. An older mark changes nothing."""
    await connection.execute(MARK, {"viewer": viewer.user_id, "video": min(max(video_id, 0), MAX_ID)})


async def count_unseen(connection: AsyncConnection, viewer: Caller) -> int:
    """How many are newer than what the viewer has seen, up to MAX_UNSEEN."""
    about = await _about(connection, viewer)
    return len(_merge(*await _read(connection, viewer, about, MAX_UNSEEN, after=about.seen_id), MAX_UNSEEN))


async def delete_seen(connection: AsyncConnection, user_id: int) -> int:
    """Returns how many rows it deleted."""
    return (await connection.execute(delete(FollowingSeen).where(FollowingSeen.user_id == user_id))).rowcount
