"""What is searched in a video: its words, and where none are written apart (Chinese), each two characters."""

import re
import unicodedata

from sqlalchemy import ColumnElement, func, literal
from sqlalchemy.dialects.postgresql import TSQUERY, TSVECTOR

MAX_WORDS = 400
MAX_QUERY_WORDS = 16
MAX_WORD = 40  # characters
WHOLE = r"[^\W\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff]+"  # of scripts that part their words
RUNS = re.compile(rf"{WHOLE}|[\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff]+")
IS_WHOLE = re.compile(WHOLE)


def video_words(*texts: str) -> ColumnElement[str]:
    """The value of Video.words."""
    words: dict[str, None] = {}
    for run in RUNS.findall(_fold(" ".join(texts))):
        parts = [run[:MAX_WORD]] if IS_WHOLE.match(run) else [*run, *_pairs(run)]
        words |= dict.fromkeys(parts)
    return func.array_to_tsvector(list(words)[:MAX_WORDS], type_=TSVECTOR)


def query_words(text: str) -> ColumnElement[str] | None:
    """What the words of a video have to match: all of the text's, a word also by its beginning."""
    parts: list[str] = []
    for run in RUNS.findall(_fold(text)):
        if IS_WHOLE.match(run):
            parts.append(f"'{run[:MAX_WORD]}':*")
        else:
            parts += [f"'{part}'" for part in (_pairs(run) or [run])]
    if not parts:
        return None
    return func.cast(literal(" & ".join(parts[:MAX_QUERY_WORDS])), type_=TSQUERY)


def _fold(text: str) -> str:
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


def _pairs(run: str) -> list[str]:
    return [run[at : at + 2] for at in range(len(run) - 1)]
