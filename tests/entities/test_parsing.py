"""Tags and mentions in texts: what is one, where it is, and what holds for any text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.entities.parsing import MAX_MENTIONS, MAX_NAME, MAX_TAG, MAX_TAGS, entities_in, names_in, tag_key, tags_in

SIGNS = "#＃@＠"
texts = st.text(alphabet=st.one_of(st.sampled_from(SIGNS + " a_.-/&b1旅한👍🏽\ufe0f\u200d\u0301é"), st.characters()))


@pytest.mark.parametrize(
    ("text", "tags"),
    [
        ("#Sunset over the #sea.", ["sunset", "sea"]),
        ("#旅行 #日本語タグ #한국어", ["旅行", "日本語タグ", "한국어"]),
        ("我爱#旅行，也爱#咖啡！", ["旅行", "咖啡"]),
        ("#旅行##咖啡#", ["旅行"]),
        ("＃ｗｉｄｅ #WIDE", ["wide"]),
        ("#café #CAFE\u0301", ["café"]),
        ("#हिन्दी #ไทย #தமிழ்", ["हिन्दी", "ไทย", "தமிழ்"]),
        ("#می\u200cخواهم", ["می\u200cخواهم"]),
        ("#snake_case #2026goals #2026 #_", ["snake_case", "2026goals"]),
        ("#fire🔥 #🔥 #👨\u200d👩\u200d👧 #1\ufe0f\u20e3 #\ufe0f\u20e3", ["fire"]),
        ("C# a#b ##c https://x.org/#d &#39; #e#f", ["e"]),
        ("#" + "x" * MAX_TAG + " #" + "x" * (MAX_TAG + 1), ["x" * MAX_TAG]),
        ("# alone, and #", []),
    ],
)
def test_tags(text: str, tags: list[str]) -> None:
    assert tags_in(text) == tags


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("@mira, @Jo.hn-Doe. @under_score!", ["mira", "jo.hn-doe", "under_score"]),
        ("谢谢@小明 你好，＠小红！", ["小明", "小红"]),
        ("mail me@example.com, https://x.org/@me, @@me", []),
        ("@" + "x" * MAX_NAME + " @" + "x" * (MAX_NAME + 1), ["x" * MAX_NAME]),
        ("@1 @-a @.b @🔥", ["1"]),
        ("@me #me", ["me"]),
    ],
)
def test_mentions(text: str, names: list[str]) -> None:
    assert names_in(text) == names


def test_places_count_code_points() -> None:
    text = "👍🏽 #a 旅@b"
    assert [(each.kind, text[each.offset : each.offset + each.length]) for each in entities_in(text)] == [
        ("tag", "#a"),
        ("mention", "@b"),
    ]


def test_what_exceeds_the_limits_is_text() -> None:
    text = " ".join([*(f"#t{n}" for n in range(MAX_TAGS + 5)), *(f"@u{n}" for n in range(MAX_MENTIONS + 5))])
    assert (len(tags_in(text)), len(names_in(text))) == (MAX_TAGS, MAX_MENTIONS)
    assert len(entities_in(text)) == MAX_TAGS + MAX_MENTIONS


@pytest.mark.parametrize(
    ("entered", "key"),
    [
        ("Sea", "sea"),
        (" #Sea ", "sea"),
        ("＃旅行", "旅行"),
        ("", None),
        ("#", None),
        ("a b", None),
        ("a#b", None),
        ("1", None),
    ],
)
def test_a_tag_that_a_user_enters(entered: str, key: str | None) -> None:
    assert tag_key(entered) == key


@given(texts)
def test_any_text(text: str) -> None:
    end = 0
    for each in entities_in(text):
        assert each.offset >= end
        end = each.offset + each.length
        assert text[each.offset] in SIGNS and 1 < each.length <= max(MAX_TAG, MAX_NAME) + 1 and end <= len(text)
        body = text[each.offset + 1 : end]
        assert not any(c.isspace() or c in SIGNS for c in body) and each.key
        alone = ("#" if each.kind == "tag" else "@") + body
        assert [(found.kind, found.length, found.key) for found in entities_in(alone)] == [
            (each.kind, each.length, each.key)
        ]


@given(texts)
def test_a_tags_key_is_a_tag_with_this_key(text: str) -> None:
    for key in tags_in(text):
        if len(key) <= MAX_TAG:
            assert tag_key(key) == key
