"""Candidates that are the same for all viewers: what is popular lately, and what is new."""

import asyncio
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from math import log
from time import monotonic
from typing import NamedTuple

from services.kit.db import Database
from services.kit.sql.statements import Statement
from services.media.models import PUBLIC

SECONDS = 2.0
POPULAR, NEWEST = 100, 300  # videos
SURE, PICKED = 20, 40  # of the newest: those that each viewer's list begins with, and others by chance
_FIELDS = "id, owner_id, score, tags FROM video WHERE visibility = %d AND deleted_at IS NULL ORDER BY" % PUBLIC  # noqa: UP031


class Pooled(NamedTuple):
    is_popular: bool
    id: int
    owner_id: int
    score: float
    tags: Sequence[str]


POOLED: Statement[Pooled] = Statement(
    f"(SELECT true, {_FIELDS} score DESC LIMIT {POPULAR}) UNION ALL (SELECT false, {_FIELDS} id DESC LIMIT {NEWEST})",
    Pooled,
)


class Pool(NamedTuple):
    """`rarity`: of the tags in it, 0 to 1. `newest_id` and `top_score`: what ages and popularity are measured by."""

    popular: Sequence[int]
    newest: Sequence[int]
    owners: Sequence[int]
    rarity: Mapping[str, float]
    newest_id: int
    top_score: float

    def pick(self) -> list[int]:
        """The popular ones, and some of the new."""
        later = self.newest[SURE:]
        return [*self.popular, *self.newest[:SURE], *random.sample(later, min(PICKED, len(later)))]

    def any_owner(self) -> int:
        return random.choice(self.owners) if self.owners else 0  # noqa: S311


def pool_of(rows: Sequence[Pooled]) -> Pool:
    videos = {row.id: row for row in rows}.values()
    counts = Counter(tag for row in videos for tag in row.tags)
    most = log(len(videos) + 1) or 1.0
    return Pool(
        [row.id for row in rows if row.is_popular],
        [row.id for row in rows if not row.is_popular],
        [row.owner_id for row in videos],
        {tag: log((len(videos) + 1) / (count + 1)) / most for tag, count in counts.items()},
        max((row.id for row in rows), default=0),
        max((row.score for row in rows), default=0.0),
    )


class SharedPool:
    """One read serves all requests of two seconds."""

    def __init__(self, database: Database) -> None:
        self._database, self._reading = database, asyncio.Lock()
        self._pool, self._until = pool_of([]), 0.0

    async def get(self) -> Pool:
        async with self._reading:
            if monotonic() >= self._until:
                async with self._database.reading() as connection:
                    self._pool = pool_of(await connection.fetch(POOLED))
                self._until = monotonic() + SECONDS
        return self._pool
