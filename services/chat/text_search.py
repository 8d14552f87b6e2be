"""What is searched in a message: its words, and of what is not written apart (Chinese) each two characters.

PostgreSQL's own parser takes a Chinese sentence for one word, and its pg_trgm is not everywhere.
"""

import re
import unicodedata
from collections.abc import Iterator
from typing import Any

MAX_TEXT = 8_000  # characters of a message that are searched
MAX_WORDS, MAX_QUERY_WORDS = 1_000, 16
MAX_WORD = 40  # characters
APART = r"[^\W\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff]+"  # of scripts that part their words
RUNS = re.compile(rf"{APART}|[\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff]+")
IS_APART = re.compile(APART)
URLS = ("http://", "https://", "data:", "/media/")


def words_of(body: Any) -> str:
    """The value of Message.words, with a space between two: of all texts in a body but addresses."""
    words: dict[str, None] = {}
    for run in _runs(" ".join(_texts(body))[:MAX_TEXT]):
        # The last character too, which begins no pair: a search for one alone is for what begins with it.
        words |= dict.fromkeys([run[:MAX_WORD]] if IS_APART.match(run) else [*_pairs(run), run[-1]])
    return " ".join(list(words)[:MAX_WORDS])


def query_of(text: str) -> str:
    """A tsquery: all of the text's words, each also by its beginning; "" if it has none."""
    parts: list[str] = []
    for run in _runs(text[:MAX_TEXT]):
        whole = IS_APART.match(run) or len(run) == 1
        parts += [f"'{run[:MAX_WORD]}':*"] if whole else [f"'{pair}'" for pair in _pairs(run)]
    return " & ".join(parts[:MAX_QUERY_WORDS])


def _runs(text: str) -> list[str]:
    return RUNS.findall(unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold()))


def _pairs(run: str) -> list[str]:
    return [run[i : i + 2] for i in range(len(run) - 1)]


def _texts(value: Any) -> Iterator[str]:
    match value:
        case str() if not value.startswith(URLS):
            yield value
        case dict():
            for member in value.values():
                yield from _texts(member)
        case list():
            for member in value:
                yield from _texts(member)
