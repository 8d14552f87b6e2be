"""The videos with a tag, newest first: the public ones, the viewer's own, and those for friends."""

from sqlalchemy import text

from services.entities.parsing import tag_key
from services.kit.context import Caller
from services.kit.cursor import encode_cursor
from services.kit.pages import id_before
from services.kit.sql.connection import AsyncConnection
from services.media.models import FRIENDS, HIDDEN, PUBLIC
from services.media.videos.feeds import VideoPage
from services.media.videos.pages import PageRequest
from services.media.videos.videos import get_cards

PUBLIC_ONES = text(f"""SELECT video_id FROM video_tag
 WHERE name = :name AND visibility = {PUBLIC} AND video_id < :before
 AND NOT EXISTS (SELECT FROM standing WHERE user_id = :viewer AND peer_id = owner_id AND (blocks OR blocked))
 ORDER BY video_id DESC LIMIT :size""")  # noqa: S608
# Of each friend, and of the viewer, as many as a page has.
OTHERS = text(f"""SELECT found.video_id FROM (SELECT peer_id AS owner_id, false AS is_own FROM standing
   WHERE user_id = :viewer AND friend AND NOT (blocks OR blocked) UNION ALL SELECT :viewer, true) AS owners
 CROSS JOIN LATERAL (SELECT video_id FROM video_tag t WHERE name = :name AND t.owner_id = owners.owner_id
   AND visibility <> {PUBLIC} AND (visibility = {FRIENDS} OR is_own AND visibility <> {HIDDEN}) AND video_id < :before
  ORDER BY video_id DESC LIMIT :size) AS found ORDER BY 1 DESC LIMIT :size""")  # noqa: S608
COUNT = text("SELECT video_count FROM tag WHERE name = :name")


async def list_tagged(
    connection: AsyncConnection, viewer: Caller, name: str, page: PageRequest, public_as_ids: bool = False
) -> VideoPage:
    """None for a text that is no tag. `public_as_ids`: of the public videos only the ids. `total` counts public videos
    of all owners. Raises CursorInvalid."""
    values = {
        "name": tag_key(name) or "",
        "viewer": viewer.user_id,
        "size": page.size,
        "before": id_before(page.cursor),
    }
    public = set((await connection.execute(PUBLIC_ONES, values)).scalars())
    others = set((await connection.execute(OTHERS, values)).scalars()) if viewer.user_id else set()
    ids, more = page.cut(sorted(public | others, reverse=True)[: page.size])
    asked = [id for id in ids if id in others] if public_as_ids else ids
    cards = {row.id: row for row in await get_cards(connection, viewer, asked)} if asked else {}
    videos = [cards.get(id, id) for id in ids if id in cards or (public_as_ids and id in public)]
    total = (await connection.execute(COUNT, {"name": values["name"]})).scalar_one_or_none() or 0
    return VideoPage(videos, encode_cursor(ids[-1]) if more else "", total)
