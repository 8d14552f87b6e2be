"""The videos that may come into a user's feed: a few hundred, from five sources, of which they may see all.

Who may see a video says the one rule of visibility.py. Only public videos are taken, so that the feed of nobody shows
what was meant for friends, and their cards are those that all viewers share.
"""

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, Float, Integer, bindparam, column, exists, literal, not_, select, text

from services.kit.sql.connection import AsyncConnection
from services.kit.sql.statements import Statement
from services.media.models import PUBLIC
from services.media.relationships.models import Relationship
from services.media.videos.for_you.models import WatchedVideo
from services.media.videos.for_you.pool import Pool
from services.media.videos.for_you.tastes import Taste
from services.media.videos.models import Video
from services.media.videos.visibility import visible

VIEWER: Any = bindparam("viewer", type_=BigInteger)
MAX_SEEDS = 40

# Near: liked by those who like what the viewer likes. Followed: the newest two of up to 200 users, beginning anywhere.
_found = text(f"""SELECT id, max(near) AS near, max(seed_id) AS seed_id FROM (
 (SELECT n.id, sum(s.weight * n.weight) AS near, (array_agg(s.id ORDER BY s.weight * n.weight DESC))[1] AS seed_id
  FROM unnest(CAST(:seeds AS bigint[]), CAST(:seed_weights AS float8[])) AS s (id, weight)
  JOIN near_videos v ON v.video_id = s.id CROSS JOIN LATERAL unnest(v.near_ids, v.weights) AS n (id, weight)
  GROUP BY n.id ORDER BY 2 DESC LIMIT 150)
 UNION ALL SELECT t.video_id, 0, 0 FROM unnest(CAST(:tags AS text[])) AS w (name) CROSS JOIN LATERAL (SELECT video_id
  FROM video_tag WHERE name = w.name AND visibility = {PUBLIC} ORDER BY video_id DESC LIMIT 15) AS t
 UNION ALL SELECT o.id, 0, 0 FROM (
  SELECT peer_id AS owner_id, 2 AS most FROM ((SELECT peer_id FROM standing WHERE user_id = :viewer AND follows
    AND NOT (blocks OR blocked) AND peer_id >= :followed_from ORDER BY user_id, peer_id LIMIT 100)
   UNION ALL (SELECT peer_id FROM standing WHERE user_id = :viewer AND follows
    AND NOT (blocks OR blocked) AND peer_id < :followed_from ORDER BY user_id DESC, peer_id DESC LIMIT 100)) AS followed
  UNION ALL SELECT owner_id, 6 FROM unnest(CAST(:authors AS bigint[])) AS liked (owner_id)) AS a
  CROSS JOIN LATERAL (SELECT id FROM video WHERE owner_id = a.owner_id AND visibility = {PUBLIC}
   AND deleted_at IS NULL ORDER BY id DESC LIMIT a.most) AS o
 UNION ALL SELECT id, 0, 0 FROM unnest(CAST(:pool AS bigint[])) AS pooled (id)
) AS found GROUP BY id""")  # noqa: S608
FOUND: Any = _found.bindparams(VIEWER).columns(
    column("id", BigInteger), column("near", Float), column("seed_id", BigInteger)
)


class Candidate(NamedTuple):
    """`near`: how much those who like what the viewer likes like it; `seed_id`: the video of theirs that
    says most of it, 0 if none."""

    id: int
    owner_id: int
    score: float
    like_count: int
    comment_count: int
    share_count: int
    view_count: int
    tags: Sequence[str]
    near: float
    seed_id: int
    followed: bool
    is_seen: bool


FIELDS: tuple[Any, ...] = (
    Video.id,
    Video.owner_id,
    Video.score,
    Video.like_count,
    Video.comment_count,
    Video.share_count,
    Video.view_count,
    Video.tags,
)
is_seen = exists().where(WatchedVideo.user_id == VIEWER, WatchedVideo.video_id == Video.id)
is_followed = exists().where(
    Relationship.user_id == VIEWER, Relationship.peer_id == Video.owner_id, Relationship.follows
)
is_wanted = (Video.visibility == PUBLIC, Video.owner_id != VIEWER, visible(VIEWER), not_(is_seen))


def _rated(*conditions: Any) -> Statement[Candidate]:
    found = FOUND.cte("found")
    rating = (found.c.near, found.c.seed_id, is_followed.label("followed"), is_seen.label("is_seen"))
    return Statement(select(*FIELDS, *rating).join(found, found.c.id == Video.id).where(*conditions), Candidate)


def _best() -> Statement[Candidate]:
    """The best that a viewer has not seen, for those who have seen what the sources bring."""
    rating = (literal(0.0, Float).label("near"), literal(0, BigInteger).label("seed_id"))
    flags = (is_followed.label("followed"), literal(False).label("is_seen"))
    best = select(*FIELDS, *rating, *flags).where(*is_wanted).order_by(Video.score.desc())
    return Statement(best.limit(bindparam("most", type_=Integer)), Candidate)


ALL, BEST = _rated(*is_wanted), _best()
ONE = _rated(Video.id == bindparam("video", type_=BigInteger), visible(VIEWER))


async def find_candidates(
    connection: AsyncConnection, viewer_id: int, taste: Taste, pool: Pool, least: int, shown: Collection[int]
) -> list[Candidate]:
    """Without those that the viewer has seen. At least `least` besides those shown, if there are so many."""
    found = await connection.fetch(ALL, **_asked(viewer_id, taste, pool, pool.pick()))
    if sum(each.id not in shown for each in found) >= least:
        return found
    have = {each.id for each in found}
    best = await connection.fetch(BEST, viewer=viewer_id, most=2 * least + len(have) + len(shown))
    return [*found, *(each for each in best if each.id not in have)]


async def find_one(
    connection: AsyncConnection, viewer_id: int, taste: Taste, pool: Pool, video_id: int
) -> Candidate | None:
    """A video that the viewer may see, whether or not the feed would have it."""
    return await connection.fetch_one(ONE, video=video_id, **_asked(viewer_id, taste, pool, [video_id]))


def _asked(viewer_id: int, taste: Taste, pool: Pool, ids: Sequence[int]) -> dict[str, Any]:
    seeds = sorted(taste.seeds, key=lambda seed: -taste.seeds[seed])[:MAX_SEEDS]
    return {
        "viewer": viewer_id,
        "seeds": seeds,
        "seed_weights": [taste.seeds[id] for id in seeds],
        "tags": taste.best_tags,
        "authors": taste.best_authors,
        "followed_from": pool.any_owner(),
        "pool": ids,
    }
