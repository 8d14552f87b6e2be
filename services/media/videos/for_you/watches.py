"""What users watched, and how much of it: the videos that their feed leaves out, and what it learns from.

A video that was left before it counted as a view counts against its author and its tags (tastes.py).
"""

import random
from collections.abc import Sequence
from typing import NamedTuple

import msgspec
from sqlalchemy import text

from services.kit.sql.connection import AsyncConnection
from services.media.videos.for_you.tastes import SKIPPED

MAX_WATCHED = 3_000  # of one user; older ones may come again
CUT_EACH = 50  # one of so many watches counts its user's rows
WHOLE = 20.0  # seconds that count as the whole of a video whose duration is not known

WRITE = text("""INSERT INTO watched_video AS w (user_id, video_id, share)
 SELECT user_id, video_id, max(share) FROM jsonb_to_recordset(CAST(:rows AS jsonb))
  AS row (user_id bigint, video_id bigint, share smallint)
 WHERE NOT EXISTS (SELECT FROM for_you_setting s WHERE s.user_id = row.user_id AND chronological)
 GROUP BY user_id, video_id ORDER BY user_id, video_id
 ON CONFLICT (user_id, video_id) DO UPDATE SET share = greatest(w.share, excluded.share), watched_at = now()""")
CUT = text("""DELETE FROM watched_video w USING unnest(CAST(:users AS bigint[])) AS u (id)
 WHERE w.user_id = u.id AND w.watched_at <= (SELECT o.watched_at FROM watched_video o
  WHERE o.user_id = u.id ORDER BY o.watched_at DESC OFFSET :most LIMIT 1)""")


class Watch(NamedTuple):
    """`share`: per cent of the video."""

    user_id: int
    video_id: int
    share: int


def share_of(seconds: float, duration: float, is_view: bool) -> int:
    """In per cent. `duration`: seconds; 0 if it is not known. What is no view was skipped, and only that: clients may
    report a view as soon as it counts, and nothing after."""
    return max(SKIPPED, min(100, round(100 * seconds / (duration or WHOLE)))) if is_view else 0


async def write_watches(connection: AsyncConnection, watches: Sequence[Watch]) -> None:
    """Nothing is kept of users who want the order of time."""
    if watches:
        rows = msgspec.json.encode([watch._asdict() for watch in watches]).decode()
        await connection.execute(WRITE, {"rows": rows})
    if cut := sorted({watch.user_id for watch in watches if not random.randrange(CUT_EACH)}):  # noqa: S311
        await cut_watched(connection, cut)


async def cut_watched(connection: AsyncConnection, user_ids: Sequence[int]) -> None:
    """Leaves the newest MAX_WATCHED of each user."""
    await connection.execute(CUT, {"users": user_ids, "most": MAX_WATCHED})
