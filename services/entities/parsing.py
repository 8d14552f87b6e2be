"""Finds `#tags` and `@mentions` in a text.

A tag is `#` or `＃` and then letters, their marks, digits and `_`, at most 50 characters, among them one letter. So it
ends at a space, a sign or an emoji. Chinese, Japanese and Korean letters count like others; as no space separates
them, a tag may begin right after them. A mention is `@` or `＠` and then the same, also with `.` and `-` inside, at
most 30 characters. Neither begins inside a word, an email or a url.
"""

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Literal, NamedTuple

from services.kit.texts.text_search import UNSEPARATED, fold

MAX_TAG, MAX_NAME = 50, 30  # code points
MAX_TAGS, MAX_MENTIONS = 30, 10  # of one text; what comes after them is text
BEGIN = re.compile(rf"(?<![^\W{UNSEPARATED}])(?<![#＃@＠&/.])[#＃@＠]")
TAG_SIGNS, NAME_SIGNS = "", ".-"
JOINERS = "\u200c\u200d"  # in Persian and Indic words
PICTURE_MARKS = "\ufe0e\ufe0f\u20e3"  # they make an emoji of what they follow

Kind = Literal["tag", "mention"]


class Entity(NamedTuple):
    """`offset` and `length`, the sign included, in code points of the text. `key` is equal for equal tags or names."""

    kind: Kind
    offset: int
    length: int
    key: str


def entities_in(text: str) -> list[Entity]:
    """In order; they do not overlap."""
    left = {"tag": MAX_TAGS, "mention": MAX_MENTIONS}
    found = []
    for entity in _all_in(text):
        left[entity.kind] -= 1
        if left[entity.kind] >= 0:
            found.append(entity)
    return found


def tags_in(*texts: str) -> list[str]:
    """The distinct keys of the tags, in order."""
    return _keys("tag", texts)


def names_in(*texts: str) -> list[str]:
    """The distinct keys of the names that are mentioned, in order."""
    return _keys("mention", texts)


def tag_key(text: str) -> str | None:
    """The key of a tag that a user enters with or without its sign; None if it is none."""
    text = text.strip()
    found = entities_in(text if text[:1] in ("#", "＃") else f"#{text}")
    whole = len(found) == 1 and found[0].kind == "tag" and found[0].length == len(text) + (text[:1] not in ("#", "＃"))
    return found[0].key if whole else None


def text_of(content: Any) -> str:
    """The text of a comment, which may be any JSON: the string that it is, or its `text`."""
    text = content.get("text") if isinstance(content, dict) else content
    return text if isinstance(text, str) else ""


def _keys(kind: Kind, texts: tuple[str, ...]) -> list[str]:
    return list(dict.fromkeys(each.key for text in texts for each in entities_in(text) if each.kind == kind))


def _all_in(text: str) -> Iterator[Entity]:
    if not any(sign in text for sign in "#＃@＠"):
        return
    for begin in BEGIN.finditer(text):
        start, is_tag = begin.start(), begin[0] in "#＃"
        body = _body(text, start + 1, TAG_SIGNS if is_tag else NAME_SIGNS)
        if is_tag and len(body) <= MAX_TAG and any(map(str.isalpha, body)):
            yield Entity("tag", start, len(body) + 1, fold(body))
        elif not is_tag and 0 < len(body) <= MAX_NAME:
            yield Entity("mention", start, len(body) + 1, fold(body))


def _body(text: str, start: int, signs: str) -> str:
    """What follows the sign. It begins and ends with a letter, a digit, `_` or a mark of one of them."""
    end = place = start
    while place < len(text):
        c = text[place]
        if _is_letter(c) or (place > start and _is_mark(c)):
            end = place + 1
        elif place == start or c not in signs + JOINERS:
            break
        place += 1
    return text[start:end]


@lru_cache(4_096)
def _is_letter(c: str) -> bool:
    """Also of each character that its compatibility form has, so that a key is a tag as well."""
    return all(part.isalnum() or part == "_" or _is_mark(part) for part in fold(c) or " ") and not _is_mark(c)


def _is_mark(c: str) -> bool:
    return unicodedata.category(c)[0] == "M" and c not in PICTURE_MARKS
