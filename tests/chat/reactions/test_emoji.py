"""What may be a reaction: one emoji, in one spelling."""

import pytest

from services.chat.errors import EmojiInvalid
from services.chat.reactions.emoji import parse_emoji

ENGLAND = "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f"
EMOJI = {
    "👍": "👍",
    "👍🏽": "👍🏽",
    "\u2764": "\u2764\ufe0f",
    "\u2764\ufe0f": "\u2764\ufe0f",
    "1\u20e3": "1\ufe0f\u20e3",
    "🇩🇪": "🇩🇪",
    "👨\u200d👩\u200d👧\u200d👦": "👨\u200d👩\u200d👧\u200d👦",
    "🕵🏻\u200d\u2642": "🕵🏻\u200d\u2642\ufe0f",
    "👁\u200d🗨": "👁\ufe0f\u200d🗨\ufe0f",
    ENGLAND: ENGLAND,
}
LETTERS = ("", "a", "1", "#", "ok", "<b>", "\ufe0f", "\u200d")
MORE_THAN_ONE = ("👍👍", "🇩🇪🇫", "👍x", " 👍", "👍\0", "🏽" * 3)
IN_PART = ("🇩", "👍\u200d", "🏴\U000e0067")
TOO_LONG = ("👍" + "\ufe0f" * 16, "\u200d".join("👍" * 9))


@pytest.mark.parametrize(("written", "stored"), EMOJI.items())
def test_an_emoji_has_one_spelling(written: str, stored: str) -> None:
    assert parse_emoji(written) == stored == parse_emoji(stored)


@pytest.mark.parametrize("text", [*LETTERS, *MORE_THAN_ONE, *IN_PART, *TOO_LONG])
def test_nothing_else_is_an_emoji(text: str) -> None:
    with pytest.raises(EmojiInvalid):
        parse_emoji(text)
