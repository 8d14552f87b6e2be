"""Keeps the tags of videos as their texts and visibilities are. The counts move in the transaction of the change.

Locks go: the video, the counts of its owner, the tags by name. So an owner who publishes two videos at the same moment
counts once as an author of the day.
"""

from collections.abc import Collection, Sequence
from datetime import UTC
from typing import Any

from sqlalchemy import delete, not_, text

from services.kit.db import one_of
from services.kit.sql.connection import AsyncConnection
from services.media.models import PUBLIC
from services.media.tags.models import VideoTag

LOCK_OWNER = text("SELECT FROM shelf WHERE owner_id = :owner FOR UPDATE")
PUT = text("""INSERT INTO video_tag (video_id, name, owner_id, visibility, day)
 SELECT :video, name, :owner, :visibility, :day FROM unnest(CAST(:names AS text[])) AS name ORDER BY name
 ON CONFLICT (video_id, name) DO UPDATE SET visibility = excluded.visibility""")
LOCK_TAGS = text("""INSERT INTO tag AS t (name) SELECT name FROM unnest(CAST(:names AS text[])) AS name ORDER BY name
 ON CONFLICT (name) DO UPDATE SET video_count = t.video_count""")
COUNT = text("""INSERT INTO tag AS t (name, video_count)
 SELECT name, :step FROM unnest(CAST(:names AS text[])) AS name ORDER BY name
 ON CONFLICT (name) DO UPDATE SET video_count = t.video_count + excluded.video_count""")
# Without those of which the owner has another public video of this day. Days that are over for long have no counts.
COUNT_DAY = text(f"""INSERT INTO tag_day AS d (name, day, authors)
 SELECT name, CAST(:day AS date), :step FROM unnest(CAST(:names AS text[])) AS named (name)
 WHERE NOT EXISTS (SELECT FROM video_tag v WHERE v.name = named.name AND v.day = :day AND v.owner_id = :owner
   AND v.visibility = {PUBLIC} AND v.video_id <> :video)
  AND (:step > 0 OR EXISTS (SELECT FROM tag_day o WHERE o.name = named.name AND o.day = :day)) ORDER BY name
 ON CONFLICT (name, day) DO UPDATE SET authors = d.authors + excluded.authors""")  # noqa: S608
CLEAR = text("DELETE FROM tag WHERE name = ANY(CAST(:names AS text[])) AND video_count = 0")
CLEAR_DAY = text("DELETE FROM tag_day WHERE name = ANY(CAST(:names AS text[])) AND day = :day AND authors = 0")


async def follow_change(connection: AsyncConnection, before: Any, after: Any) -> None:
    """After the row of a locked video changed, and its owner's counts with it. `before` is None for a new video; a
    deleted one has no tags any more."""
    old = before.tags if before is not None else ()
    if not (old or after.tags) or (before is not None and _facts(before) == _facts(after)):
        return
    about = {"video": after.id, "owner": after.owner_id, "day": after.created_at.astimezone(UTC).date()}
    await connection.execute(LOCK_OWNER, {"owner": after.owner_id})
    gone = (VideoTag.video_id == after.id, not_(one_of(VideoTag.name, sorted(after.tags))))
    await connection.execute(delete(VideoTag).where(*gone))
    if after.tags:
        await connection.execute(PUT, about | {"visibility": after.visibility, "names": sorted(after.tags)})
    was_shown, is_shown = (set(row.tags) if row and row.visibility == PUBLIC else set() for row in (before, after))
    await lock_tags(connection, is_shown ^ was_shown)
    await _count(connection, about, is_shown - was_shown, 1)
    await _count(connection, about, was_shown - is_shown, -1)


async def follow_creation(connection: AsyncConnection, videos: Sequence[Any]) -> None:
    """After the rows of new videos were written, and the counts of their owners."""
    await lock_tags(connection, {name for video in videos if video.visibility == PUBLIC for name in video.tags})
    for video in videos:
        await follow_change(connection, None, video)


async def lock_tags(connection: AsyncConnection, names: Collection[str]) -> None:
    """By name, before their counts move, so that no two changes wait for each other."""
    if names:
        await connection.execute(LOCK_TAGS, {"names": sorted(names)})


def _facts(video: Any) -> tuple[object, object]:
    return set(video.tags), video.visibility


async def _count(connection: AsyncConnection, about: dict[str, Any], names: Collection[str], step: int) -> None:
    if not names:
        return
    changed = {"names": sorted(names), "step": step}
    await connection.execute(COUNT, changed)
    await connection.execute(COUNT_DAY, about | changed)
    if step < 0:
        await connection.execute(CLEAR, {"names": changed["names"]})
        await connection.execute(CLEAR_DAY, {"names": changed["names"], "day": about["day"]})
