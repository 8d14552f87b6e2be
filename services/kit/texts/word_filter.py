"""Refuses texts with words that the setting `filtered_words` lists, in any case and width."""

import re
import unicodedata
from collections.abc import Sequence
from contextlib import suppress

import msgspec

from services.kit.errors import Invalid
from services.kit.texts.text_search import UNSEPARATED, fold

LETTER = rf"[^\W{UNSEPARATED}]"  # of a script with spaces, whose words are matched whole


class WordsRefused(Invalid):
    """A text holds a word that users may not write here."""


class WordFilter:
    def __init__(self, words: Sequence[str]) -> None:
        parts = [_pattern(_seen(word)) for word in words if _seen(word)]
        self._pattern = re.compile("|".join(parts)) if parts else None

    def check(self, **texts: str) -> None:
        """`texts` by the names of their fields. Raises WordsRefused."""
        for field, text in texts.items():
            if self._pattern and self._pattern.search(_seen(text)):
                raise WordsRefused(field=field)

    def check_json(self, field: str, data: bytes) -> None:
        """Every string of a document; one that is no JSON is for others to refuse. Raises WordsRefused."""
        if self._pattern:
            with suppress(msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
                self.check(**{field: msgspec.json.encode(msgspec.json.decode(data)).decode()})


def _seen(text: str) -> str:
    return fold("".join(c for c in text if unicodedata.category(c) != "Cf")).strip()


def _pattern(word: str) -> str:
    begin = f"(?<!{LETTER})" if re.match(LETTER, word[0]) else ""
    end = f"(?!{LETTER})" if re.match(LETTER, word[-1]) else ""
    return begin + re.escape(word) + end
