"""Which tags are used lately, and which begin with what a user types."""

from collections.abc import Sequence
from datetime import date
from typing import NamedTuple

from sqlalchemy import text

from services.entities.parsing import tag_key
from services.kit.pages import clamp
from services.kit.sql.connection import AsyncConnection

DAYS = 7  # that count
KEPT_DAYS = 14
HALF_LIFE = 1.0  # days after which an author counts half
MOST_OF_DAY, MOST_POPULAR, MOST_NAMED = 1_000, 5_000, 1_000  # tags that are looked at
MAX_LIMIT = 50

TRENDING = text("""SELECT tag.name, tag.video_count FROM
 (SELECT top.name, sum(top.authors * power(0.5, age / :half_life)) AS score FROM generate_series(0, :days - 1) AS age
  CROSS JOIN LATERAL (SELECT name, authors FROM tag_day WHERE day = CAST(:today AS date) - age
   ORDER BY authors DESC LIMIT :most) AS top GROUP BY top.name) AS trend
 JOIN tag ON tag.name = trend.name WHERE tag.video_count > 0
 ORDER BY trend.score DESC, tag.video_count DESC, tag.name LIMIT :limit""")
SUGGESTED = text("""SELECT name, video_count FROM (
  SELECT name, video_count FROM (SELECT name, video_count FROM tag ORDER BY video_count DESC LIMIT :popular) AS popular
   WHERE name LIKE :pattern
  UNION (SELECT name, video_count FROM tag WHERE name LIKE :pattern ORDER BY name USING ~<~ LIMIT :named)) AS found
 ORDER BY video_count DESC, name LIMIT :limit""")
PRUNE = text("""DELETE FROM tag_day WHERE id IN
 (SELECT id FROM tag_day WHERE day < CAST(:today AS date) - CAST(:kept AS int) LIMIT 1000)""")


class TagCount(NamedTuple):
    name: str
    video_count: int


async def list_trending(connection: AsyncConnection, today: date, limit: int) -> Sequence[TagCount]:
    """Those of the most authors of the last days. Each counts once a day, and half as much each day later."""
    values = {"half_life": HALF_LIFE, "days": DAYS, "today": today, "most": MOST_OF_DAY}
    rows = await connection.execute(TRENDING, values | {"limit": clamp(limit, MAX_LIMIT)})
    return [TagCount(*row) for row in rows]


async def suggest(connection: AsyncConnection, typed: str, limit: int) -> Sequence[TagCount]:
    """Tags of public videos that begin with the text, those of the most videos first."""
    key = tag_key(typed) or tag_key(typed + "a")  # digits alone are no tag yet
    if key is None:
        return []
    beginning = key if tag_key(typed) else key[:-1]
    pattern = "".join(f"\\{c}" if c in "\\%_" else c for c in beginning) + "%"
    values = {"pattern": pattern, "popular": MOST_POPULAR, "named": MOST_NAMED, "limit": clamp(limit, MAX_LIMIT)}
    return [TagCount(*row) for row in await connection.execute(SUGGESTED, values)]


async def prune(connection: AsyncConnection, today: date) -> int:
    """Deletes counts of days that are over for long, a batch at a time; returns how many."""
    return (await connection.execute(PRUNE, {"today": today, "kept": KEPT_DAYS})).rowcount
