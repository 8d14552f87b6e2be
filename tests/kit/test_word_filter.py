"""Words that an operator refuses, in whatever way they are written."""

import json

import pytest

from services.kit.texts.word_filter import WordFilter, WordsRefused

WORDS = WordFilter(("badword", "坏词", "two words", " "))


@pytest.mark.parametrize(
    "text",
    [
        "badword",
        "a BadWord!",
        "ｂａｄｗｏｒｄ",
        "bad\u200bword",
        "你badword好",
        "这是坏词吗",
        "坏\u2060词",
        "Two words",
        "x-badword-y",
    ],
)
def test_a_refused_word_is_found(text: str) -> None:
    with pytest.raises(WordsRefused) as refused:
        WORDS.check(title=text)
    assert refused.value.field == "title"
    with pytest.raises(WordsRefused):
        WORDS.check_json("content", json.dumps({"text": ["x", text]}).encode())


@pytest.mark.parametrize("text", ["", "badwords", "embadword", "bad word", "坏 词", "two", "好"])
def test_other_words_are_not(text: str) -> None:
    WORDS.check(title=text)
    WORDS.check_json("content", json.dumps(text).encode())


def test_no_words_refuse_nothing_and_no_json_is_for_others() -> None:
    WordFilter(()).check(title="badword")
    WORDS.check_json("content", b"{badword")
