"""Splits text into words for full-text search, and makes the query that finds them.

Scripts with spaces are indexed by word, without accents; C++ and C# also with their signs; an emoji is a word.
Chinese, Japanese and Korean text is indexed by pairs of neighbouring characters: PostgreSQL's parser takes a whole
sentence for one word, and extensions for these languages are not installed everywhere.
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
EMOJI = r"\u2190-\u21ff\u2300-\u27bf\u2b00-\u2bff\U0001f000-\U0001f3fa\U0001f400-\U0001faff"  # without skin tones
RUN = re.compile(rf"([^\W_{UNSEPARATED}]+)([+#]*)|[{UNSEPARATED}]+|[{EMOJI}]")
# Accents of Latin, Greek and Cyrillic, points of Hebrew and Arabic: people search without them. Marks of other scripts
# are letters.
MARKS = r"\u0300-\u036f\u0483-\u0487\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u064b-\u0655\u0670"
MARK = re.compile(f"[{MARKS}]")
PLAIN = str.maketrans({"ø": "o", "đ": "d", "ħ": "h", "ı": "i", "ł": "l", "ŧ": "t", "æ": "ae", "œ": "oe"})


def fold(text: str) -> str:
    """The text without case, width and other compatibility forms, so that equivalent spellings compare equal."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


def plain(text: str) -> str:
    """The folded text without accents, as search compares it."""
    marked = unicodedata.normalize("NFKD", fold(text))
    return unicodedata.normalize("NFC", MARK.sub("", marked).translate(PLAIN))


def words_of(text: str, most: int = MAX_WORDS) -> list[str]:
    """The distinct lexemes to store for a text, at most `most`."""
    words: dict[str, None] = {}
    for run in RUN.finditer(plain(text[:MAX_TEXT])):
        word, signs = run.groups()
        # The last character begins no pair, but a query of one character matches by the first of a pair.
        found = [word[:MAX_WORD], (word + signs)[:MAX_WORD]] if word else [*_pairs(run[0]), run[0][-1]]
        words |= dict.fromkeys(found)
    return list(words)[:most]


def query_of(text: str) -> str:
    """A tsquery that finds texts with all of these words or words beginning with them; "" if the text has none."""
    parts: list[str] = []
    for run in RUN.finditer(plain(text[:MAX_TEXT])):
        is_word = run[1] or len(run[0]) == 1
        parts += [f"'{run[0][:MAX_WORD]}':*"] if is_word else [f"'{pair}'" for pair in _pairs(run[0])]
    return " & ".join(parts[:MAX_QUERY_WORDS])


def slips_of(word: str) -> list[str]:
    """The word, and it without each inner letter, marked by ~: two words that share one of these differ by a slip."""
    inner = range(1, len(word) - 1) if 3 < len(word) <= 20 else ()
    return ["~" + word, *(f"~{word[:i]}{word[i + 1 :]}" for i in inner if not word[i].isdigit())]


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
