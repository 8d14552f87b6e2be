"""The videos of those whom a user follows, newest first, read when they are asked for.

Who follows few is read owner by owner. Who follows many finds most of a page among the newest public videos of all; if
not, the newest video of each owner says which owners can be on the page. Neither sorts or skips a whole list.
"""

from collections.abc import Sequence

from sqlalchemy import delete, text

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
FOLLOWS_MANY = text(f"SELECT count(*) > {FEW} FROM (SELECT FROM standing WHERE {_FOLLOWED} LIMIT {FEW + 1}) AS first")  # noqa: S608
# `scanned`: how many of the newest videos there were, which tells whether older ones are left.
AMONG_NEWEST = text(f"""WITH newest AS MATERIALIZED (
  SELECT id, owner_id FROM video WHERE visibility = {PUBLIC} AND {_RANGE} ORDER BY id DESC LIMIT {WINDOW})
 SELECT id, (SELECT count(*) FROM newest) AS scanned FROM newest
 WHERE owner_id IN (SELECT peer_id FROM standing WHERE {_FOLLOWED}) ORDER BY id DESC LIMIT :size""")  # noqa: S608


def _of_owners(visibility: int, which: str = "") -> str:
    """The newest `size` videos are by owners among the `size` whose newest ones are the newest."""
    newest = f"""SELECT id FROM video WHERE owner_id = peer_id AND visibility = {visibility} AND {_RANGE}
   ORDER BY id DESC LIMIT"""  # noqa: S608
    return f"""SELECT newest.id FROM (SELECT peer_id FROM standing CROSS JOIN LATERAL ({newest} 1) AS head
   WHERE {_FOLLOWED} {which} ORDER BY head.id DESC LIMIT :size) AS heads
  CROSS JOIN LATERAL ({newest} :size) AS newest"""  # noqa: S608


BY_OWNER = text(f"{_of_owners(PUBLIC)} ORDER BY 1 DESC LIMIT :size")
FOR_FRIENDS = text(f"{_of_owners(FRIENDS, 'AND friend')} ORDER BY 1 DESC LIMIT :size")
SEEN = text("SELECT video_id FROM following_seen WHERE user_id = :viewer")
MARK = text("""INSERT INTO following_seen AS s (user_id, video_id) VALUES (:viewer, :video)
 ON CONFLICT (user_id) DO UPDATE SET video_id = greatest(s.video_id, excluded.video_id), seen_at = now()""")


async def list_followed(connection: AsyncConnection, viewer: Caller, page: PageRequest) -> VideoPage:
    """Raises CursorInvalid."""
    ids, more = page.cut(await _read(connection, viewer, page.size, id_before(page.cursor)))
    return VideoPage(await get_cards(connection, viewer, ids), encode_cursor(ids[-1]) if more else "")


async def _read(
    connection: AsyncConnection, viewer: Caller, size: int, before: int = MAX_ID, after: int = 0
) -> Sequence[int]:
    values = {"viewer": viewer.user_id, "size": size, "before": before, "after": after}
    public: Sequence[int] = []
    is_whole = False
    if (await connection.execute(FOLLOWS_MANY, {"viewer": viewer.user_id})).scalar_one():
        rows = (await connection.execute(AMONG_NEWEST, values)).all()
        public, is_whole = [row.id for row in rows], bool(rows) and rows[0].scanned < WINDOW
    if len(public) < size and not is_whole:
        public = (await connection.execute(BY_OWNER, values)).scalars().all()
    for_friends = (await connection.execute(FOR_FRIENDS, values)).scalars().all()
    return sorted({*public, *for_friends}, reverse=True)[:size]


async def get_seen(connection: AsyncConnection, viewer: Caller) -> int:
    """The newest video that the viewer has marked as seen; 0 if none."""
    return (await connection.execute(SEEN, {"viewer": viewer.user_id})).scalar_one_or_none() or 0


async def mark_seen(connection: AsyncConnection, viewer: Caller, video_id: int) -> None:
    """Marks it and all older ones. An older mark changes nothing."""
    await connection.execute(MARK, {"viewer": viewer.user_id, "video": min(max(video_id, 0), MAX_ID)})


async def count_unseen(connection: AsyncConnection, viewer: Caller) -> int:
    """How many are newer than what the viewer has seen, up to MAX_UNSEEN."""
    seen = await get_seen(connection, viewer)
    return len(await _read(connection, viewer, MAX_UNSEEN, after=seen))


async def delete_seen(connection: AsyncConnection, user_id: int) -> int:
    """Returns how many rows it deleted."""
    return (await connection.execute(delete(FollowingSeen).where(FollowingSeen.user_id == user_id))).rowcount
