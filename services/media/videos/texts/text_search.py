"""Search in the titles and descriptions of videos.

A video's words stand at the places of the text, those of the title with the weight A; so the rank knows both. The words
of the title are also there without each of their inner letters, marked by ~, to be found despite a slip.
"""

from typing import Any

from sqlalchemy import ColumnElement, Double, cast, func, literal
from sqlalchemy.dialects.postgresql import TSQUERY, TSVECTOR

from services.kit.texts.text_search import MAX_QUERY_WORDS, query_of, slips_of, words_of

MAX_WORDS, MAX_SLIPS = 400, 300
CANDIDATES = 1_000  # of the videos with the words, the newest and most liked: the most relevant of them come first
# A word in the title is worth 2, in the description 0.4; ten times the reactions 0.5, a year 1. Nothing depends on the
# present time, so pages of a search fit together.
TEXT_WEIGHT, REACTIONS_WEIGHT, SECONDS = 4.0, 0.5, 31_536_000


def video_words(title: str, description: str = "") -> ColumnElement[str]:
    """The value of Video.words."""
    return cast(literal(words_of_video(title, description)), TSVECTOR)


def words_of_video(title: str, description: str) -> str:
    """The same as text."""
    first = words_of(title, MAX_WORDS)
    rest = [word for word in words_of(description, MAX_WORDS) if word not in first]
    words = [f"'{word}':{place}A" for place, word in enumerate(first, 1)]
    words += [f"'{word}':{place}" for place, word in enumerate(rest[: MAX_WORDS - len(first)], len(first) + 2)]
    slips = dict.fromkeys(slip for word in first if _may_slip(word) for slip in slips_of(word))
    return " ".join([*words, *(f"'{slip}'" for slip in list(slips)[:MAX_SLIPS])])


def query_words(text: str) -> ColumnElement[str] | None:
    """Returns the query that a video's words must match; None for a text without words."""
    return _query(query_of(text))


def query_slips(text: str) -> ColumnElement[str] | None:
    """The same, each word with at most one inner letter wrong; None for a text without words."""
    words = [[word, *slips_of(word)] if _may_slip(word) else [word] for word in words_of(text)[:MAX_QUERY_WORDS]]
    return _query(" & ".join("(" + " | ".join(f"'{slip}'" for slip in slips) + ")" for slips in words))


def _may_slip(word: str) -> bool:
    return len(word) > 3 and word.isalpha()


def _query(query: str) -> ColumnElement[str] | None:
    return func.cast(literal(query), type_=TSQUERY) if query else None


def relevance(video: Any, words: ColumnElement[str]) -> ColumnElement[float]:
    """How well a video answers a search: by its text first, then by how liked and how new it is."""
    reactions = 1 + video.like_count + 2 * video.comment_count + 3 * video.share_count + video.view_count / 10
    text = func.ts_rank_cd(video.words, words)
    return cast(
        TEXT_WEIGHT * text / (text + 1)
        + REACTIONS_WEIGHT * func.log(cast(reactions, Double))
        + func.extract("epoch", video.created_at) / SECONDS,
        Double,
    )
