"""Rates candidates for a viewer: a weighted sum of what speaks for a video, each part -1 to 1 (docs/adr/0080)."""

from collections.abc import Mapping
from math import exp, sqrt, tanh
from operator import mul
from typing import NamedTuple

from protos.media.v1.videos_pb2 import WHY_AUTHOR, WHY_FOLLOWED, WHY_FRESH, WHY_NEAR, WHY_POPULAR, WHY_TAG
from services.media.videos.for_you.candidates import Candidate
from services.media.videos.for_you.pool import Pool
from services.media.videos.for_you.tastes import Taste

WEIGHTS = {"near": 0.6, "tags": 2.0, "author": 1.0, "followed": 0.8, "popular": 0.5, "quality": 1.0, "recent": 1.0}
WHYS = {"near": WHY_NEAR, "tags": WHY_TAG, "author": WHY_AUTHOR, "followed": WHY_FOLLOWED}
LEAST = 0.1  # of a score, for a part to be the reason
HALF_LIFE = 2 * 86_400_000  # milliseconds
FEW_VIEWS = 20  # of a video that is still to be tried
TIRING, TIRED = 0.15, 0.4  # what a watched video of the same author takes, and what is left at least
TIME = 22  # bits of an id below its time in milliseconds


class Rated(NamedTuple):
    id: int
    owner_id: int
    score: float
    why: int
    is_fresh: bool


def parts_of(video: Candidate, taste: Taste, pool: Pool) -> dict[str, float]:
    """By the names of WEIGHTS, in their order."""
    reactions = video.like_count + 2 * video.comment_count + 3 * video.share_count
    liked = taste.tags
    return {
        "near": tanh(video.near),
        "tags": tanh(sum([liked[tag] for tag in video.tags if tag in liked]) / sqrt(len(video.tags) or 1) * 2),
        "author": taste.authors.get(video.owner_id, 0.0),
        "followed": 1.0 if video.followed else 0.0,
        "popular": exp((video.score - pool.top_score) / 3),
        "quality": tanh(3 * (reactions + 1) / (max(video.view_count, reactions) + 10)),
        "recent": 0.5 ** ((pool.newest_id - video.id >> TIME) / HALF_LIFE) if pool.newest_id > video.id else 1.0,
    }


def tags_of(video: Candidate, taste: Taste) -> Mapping[str, float]:
    """Those that mean something to the viewer."""
    return {tag: taste.tags[tag] for tag in video.tags if tag in taste.tags}


def fatigue_of(video: Candidate, taste: Taste) -> float:
    return max(TIRED, 1.0 - TIRING * taste.tired_of.get(video.owner_id, 0))


def total(parts: Mapping[str, float]) -> float:
    score: float = sum(map(mul, WEIGHTS.values(), parts.values()))
    return score


def rate(video: Candidate, taste: Taste, pool: Pool) -> Rated:
    parts, is_fresh = parts_of(video, taste, pool), video.view_count < FEW_VIEWS
    score = total(parts) * fatigue_of(video, taste)
    return Rated(video.id, video.owner_id, score, why_of(parts, is_fresh), is_fresh)


def why_of(parts: Mapping[str, float], is_fresh: bool) -> int:
    """The personal part that says most or, if none says much, what everybody is shown it for."""
    most, first = 0.0, 0
    for name, why in WHYS.items():
        if (said := WEIGHTS[name] * parts[name]) > most:
            most, first = said, why
    if most >= LEAST:
        return first
    return (
        WHY_FRESH
        if is_fresh and parts["recent"] * WEIGHTS["recent"] > parts["popular"] * WEIGHTS["popular"]
        else WHY_POPULAR
    )
