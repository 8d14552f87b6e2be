"""Search in the titles and descriptions of videos."""

from sqlalchemy import ColumnElement, func, literal
from sqlalchemy.dialects.postgresql import TSQUERY, TSVECTOR

from services.kit.text_search import query_of, words_of

MAX_WORDS = 400


def video_words(*texts: str) -> ColumnElement[str]:
    """The value of Video.words."""
    return func.array_to_tsvector(words_of(" ".join(texts), MAX_WORDS), type_=TSVECTOR)


def query_words(text: str) -> ColumnElement[str] | None:
    """Returns the query that a video's words must match; None for a text without words."""
    query = query_of(text)
    return func.cast(literal(query), type_=TSQUERY) if query else None
