"""Keeps, for each video, the videos that are liked by the same users. The sweeper calls it, which has the lease.

A video is computed anew when its likes have grown by a quarter: the newest and the most popular are looked at each
time, all others in turn. So a like costs nothing, and a round is bounded.
"""

from collections.abc import Sequence

from sqlalchemy import text

from services.kit.db import Database
from services.kit.ids import MAX_ID
from services.kit.sql.connection import AsyncConnection
from services.media.models import PUBLIC

LOOKED_AT, COMPUTED, BATCH = 300, 100, 20  # videos: of each kind in a round, at most in a round, in a statement
LIKERS, LIKES = 60, 40  # that speak for a video: users, and the last likes of each
NEAR = 20  # videos kept
LEAST = 2  # users who like both
SHRINK = 3.0  # likes that are added to both, so that two videos of few likes are not the nearest

_PUBLIC = f"visibility = {PUBLIC} AND deleted_at IS NULL"
STALE = text(f"""SELECT DISTINCT v.id FROM (
  (SELECT id, like_count FROM video WHERE {_PUBLIC} ORDER BY id DESC LIMIT :looked)
  UNION ALL (SELECT id, like_count FROM video WHERE {_PUBLIC} ORDER BY score DESC LIMIT :looked)
  UNION ALL (SELECT id, like_count FROM video WHERE {_PUBLIC} AND id < :before AND id >= :from)) AS v
 LEFT JOIN near_videos n ON n.video_id = v.id
 WHERE v.like_count >= {LEAST} AND v.like_count > coalesce(n.like_count, 0) * 1.25 LIMIT :most""")  # noqa: S608
TURN = text(f"""SELECT coalesce((SELECT id FROM video WHERE {_PUBLIC} AND id < :before
 ORDER BY id DESC OFFSET :looked LIMIT 1), 0)""")  # noqa: S608
# Of many likers as many as count, from anywhere among them: else the oldest accounts would always speak for all.
COMPUTE = text(f"""INSERT INTO near_videos (video_id, near_ids, weights, like_count)
 SELECT v.id, coalesce(near.ids, '{{}}'), coalesce(near.weights, '{{}}'), v.like_count
 FROM video v CROSS JOIN LATERAL (SELECT min(user_id) + floor(random() * (max(user_id) - min(user_id)))::bigint AS at
   FROM video_like WHERE video_id = v.id) AS begin CROSS JOIN LATERAL (
  SELECT array_agg(id ORDER BY weight DESC) AS ids, array_agg(weight ORDER BY weight DESC) AS weights FROM (
   SELECT other.id, least(1, count(*) * greatest(1.0, v.like_count::float8 / {LIKERS})
     / sqrt((v.like_count + {SHRINK}) * (other.like_count + {SHRINK})))::real AS weight
   FROM (SELECT user_id FROM (
     (SELECT user_id FROM video_like WHERE video_id = v.id AND NOT withdrawn AND user_id >= begin.at
       ORDER BY user_id LIMIT {LIKERS}) UNION ALL
     (SELECT user_id FROM video_like WHERE video_id = v.id AND NOT withdrawn AND user_id < begin.at
       ORDER BY user_id DESC LIMIT {LIKERS})) AS each LIMIT {LIKERS}) AS liker
   CROSS JOIN LATERAL (SELECT video_id FROM video_like WHERE user_id = liker.user_id AND NOT withdrawn
    ORDER BY id DESC LIMIT {LIKES}) AS liked
   JOIN video other ON other.id = liked.video_id AND other.visibility = {PUBLIC} AND other.deleted_at IS NULL
   WHERE other.id <> v.id GROUP BY other.id, other.like_count HAVING count(*) >= {LEAST}
   ORDER BY weight DESC LIMIT {NEAR}) AS nearest) AS near
 WHERE v.id = ANY(CAST(:ids AS bigint[])) ORDER BY v.id
 ON CONFLICT (video_id) DO UPDATE SET near_ids = excluded.near_ids, weights = excluded.weights,
  like_count = excluded.like_count""")  # noqa: S608
FORGET = text("""DELETE FROM near_videos n WHERE n.video_id < :before AND n.video_id >= :from
 AND NOT EXISTS (SELECT FROM video WHERE id = n.video_id AND deleted_at IS NULL)""")


class NearVideoKeeper:
    """Remembers whose turn it is among all videos, from the newest to the oldest."""

    def __init__(self) -> None:
        self._before = MAX_ID

    @property
    def is_within_turn(self) -> bool:
        """Whether older videos are still to be looked at."""
        return self._before < MAX_ID

    async def renew(self, database: Database) -> int:
        """One round; returns how many videos it computed."""
        async with database.reading() as connection:
            ids = await self._stale(connection)
        for start in range(0, len(ids), BATCH):
            async with database.reading() as connection:
                await connection.execute(COMPUTE, {"ids": ids[start : start + BATCH]})
        return len(ids)

    async def _stale(self, connection: AsyncConnection) -> Sequence[int]:
        """Also forgets those of the turn that are deleted."""
        looked = {"looked": LOOKED_AT, "before": self._before}
        turn = {"before": self._before, "from": (await connection.execute(TURN, looked)).scalar_one()}
        await connection.execute(FORGET, turn)
        ids = (await connection.execute(STALE, looked | turn | {"most": COMPUTED})).scalars().all()
        if len(ids) < COMPUTED:  # else the same turn has more
            self._before = turn["from"] or MAX_ID
        return ids
