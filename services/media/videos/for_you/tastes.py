"""What a user did with videos, and what they therefore like: videos, tags and authors, each with a weight."""

from collections import Counter, defaultdict
from collections.abc import Hashable, Mapping, Sequence
from math import sqrt
from typing import NamedTuple, TypeVar

from services.kit.sql.statements import Statement

WATCH, LIKE, SHARE, COMMENT, SAVE = range(5)
WEIGHTS = {LIKE: 1.0, SHARE: 1.5, COMMENT: 1.2, SAVE: 1.2}
WATCHED_WHOLE, WATCHED_MUCH, SKIPPED = 80, 40, 20  # per cent
LATELY = 20  # watched videos whose authors tire
MAX_TAGS, MAX_AUTHORS = 8, 8  # that bring candidates


K = TypeVar("K", bound=Hashable)


class Act(NamedTuple):
    """`share`: of a video that was watched, how much of it in per cent."""

    video_id: int
    kind: int
    share: int
    owner_id: int
    tags: Sequence[str]


# The newest of each kind since the user's last reset; comments and shares by the age of the comment or the video.
ACTS: Statement[Act] = Statement(
    f"""WITH since AS MATERIALIZED
 (SELECT coalesce((SELECT reset_at FROM for_you_setting WHERE user_id = :viewer), '-infinity') AS at)
SELECT act.video_id, act.kind, act.share, video.owner_id, video.tags FROM (
 (SELECT video_id, {WATCH} AS kind, share, watched_at AS at FROM watched_video
  WHERE user_id = :viewer ORDER BY watched_at DESC LIMIT 60)
 UNION ALL (SELECT video_id, {LIKE}, 100, created_at FROM video_like
  WHERE user_id = :viewer AND NOT withdrawn ORDER BY id DESC LIMIT 40)
 UNION ALL (SELECT video_id, {SHARE}, 100, created_at FROM video_share
  WHERE user_id = :viewer ORDER BY video_id DESC LIMIT 15)
 UNION ALL (SELECT video_id, {COMMENT}, 100, created_at FROM comment
  WHERE user_id = :viewer AND deleted_at IS NULL ORDER BY id DESC LIMIT 15)
 UNION ALL (SELECT video_id, {SAVE}, 100, created_at FROM saved_video
  WHERE user_id = :viewer ORDER BY id DESC LIMIT 15)
) AS act JOIN video ON video.id = act.video_id AND video.deleted_at IS NULL, since
WHERE act.at > since.at AND video.owner_id <> :viewer ORDER BY act.at DESC""",  # noqa: S608
    Act,
)


class Taste(NamedTuple):
    """All weights are -1 to 1, those of `seeds` 0 to 2.5: videos that the user likes. `tired_of`: how many of the last
    videos that they watched are each author's."""

    seeds: Mapping[int, float]
    tags: Mapping[str, float]
    authors: Mapping[int, float]
    tired_of: Mapping[int, int]

    @property
    def best_tags(self) -> list[str]:
        return _best(self.tags, MAX_TAGS)

    @property
    def best_authors(self) -> list[int]:
        return _best(self.authors, MAX_AUTHORS)


def taste_of(acts: Sequence[Act], rarity: Mapping[str, float]) -> Taste:
    """`acts`: the newest first. `rarity`: of tags, 0 to 1; others are rare: a tag that all use says little."""
    seeds: dict[int, float] = defaultdict(float)
    tags: dict[str, float] = defaultdict(float)
    authors: dict[int, float] = defaultdict(float)
    for act in acts:
        weight = _weight_of(act)
        if weight > 0:
            seeds[act.video_id] = min(seeds[act.video_id] + weight, 2.5)
        authors[act.owner_id] += weight
        for tag in act.tags:
            tags[tag] += weight * rarity.get(tag, 1.0) / sqrt(len(act.tags))
    most = max((abs(weight) for weight in tags.values()), default=0.0) + 1.0
    watched = [act.owner_id for act in acts if act.kind == WATCH][:LATELY]
    return Taste(
        seeds,
        {tag: weight / most for tag, weight in tags.items()},
        {owner_id: weight / (abs(weight) + 2.0) for owner_id, weight in authors.items()},
        Counter(watched),
    )


def _weight_of(act: Act) -> float:
    if act.kind != WATCH:
        return WEIGHTS[act.kind]
    if act.share >= WATCHED_WHOLE:
        return 0.6
    return 0.2 if act.share >= WATCHED_MUCH else -0.4 if act.share < SKIPPED else 0.0


def _best(weights: Mapping[K, float], most: int) -> list[K]:
    liked = [each for each, weight in weights.items() if weight > 0]
    return sorted(liked, key=lambda each: -weights[each])[:most]
