"""Splits text into words for full-text search, and makes the query that finds them.

Scripts with spaces are indexed by word. Chinese, Japanese and Korean text is indexed by pairs of neighbouring
characters: PostgreSQL's parser takes a whole sentence for one word, and extensions for these languages are not
installed everywhere.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from typing import Any

MAX_TEXT = 8_000  # characters; the rest is ignored
MAX_WORDS, MAX_QUERY_WORDS = 1_000, 16
MAX_WORD = 40  # characters
UNSEPARATED = r"\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff"
WORD = re.compile(rf"[^\W{UNSEPARATED}]+")
RUN = re.compile(rf"{WORD.pattern}|[{UNSEPARATED}]+")


def fold(text: str) -> str:
    """The text without case, width and other compatibility forms, so that equivalent spellings compare equal."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


def words_of(text: str, most: int = MAX_WORDS) -> list[str]:
    """The distinct lexemes to store for a text, at most `most`."""
    words: dict[str, None] = {}
    for run in RUN.findall(fold(text[:MAX_TEXT])):
        # The last character begins no pair, but a query of one character matches by the first of a pair.
        words |= dict.fromkeys([run[:MAX_WORD]] if WORD.match(run) else [*_pairs(run), run[-1]])
    return list(words)[:most]


def query_of(text: str) -> str:
    """A tsquery that finds texts with all of these words or words beginning with them; "" if the text has none."""
    parts: list[str] = []
    for run in RUN.findall(fold(text[:MAX_TEXT])):
        is_word = WORD.match(run) or len(run) == 1
        parts += [f"'{run[:MAX_WORD]}':*"] if is_word else [f"'{pair}'" for pair in _pairs(run)]
    return " & ".join(parts[:MAX_QUERY_WORDS])


def pattern_of(words: Iterable[str]) -> re.Pattern[str] | None:
    """Finds any of these folded words in a folded text: whole words, and anywhere between characters that no space
    separates. None without words."""
    letter = rf"[^\W{UNSEPARATED}]"
    parts = [
        (rf"(?<!{letter})" if WORD.match(word) else "")
        + re.escape(word)
        + (rf"(?!{letter})" if WORD.match(word[-1]) else "")
        for word in words
    ]
    return re.compile("|".join(parts)) if parts else None


def texts_in(value: Any) -> Iterator[str]:
    """All strings in a JSON value, without the names of fields."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from texts_in(each)


def _pairs(run: str) -> list[str]:
    return [run[i : i + 2] for i in range(len(run) - 1)]
