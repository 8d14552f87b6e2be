"""What may be a reaction: one grapheme of the emoji kind, by the grammar of Unicode's UTS #51 (section 1.4.9)."""

import re

from services.chat.errors import EmojiInvalid
from services.chat.reactions.code_points import DRAWN_AS_EMOJI, EMOJI

MAX_CODE_POINTS = 16  # the longest emoji that Unicode recommends have 10
VARIATION, JOINER, KEYCAP = "\ufe0f", "\u200d", "\u20e3"


def _class(ranges: str) -> str:
    """The inside of a character class of a regular expression."""
    return "".join("-".join(rf"\U{int(end, 16):08x}" for end in each.split("-")) for each in ranges.split())


_MODIFIERS = r"\U0001f3fb-\U0001f3ff"
_FLAG = r"[\U0001f1e6-\U0001f1ff]{2}"
# Without variation selectors, which are put where they belong afterwards.
_ELEMENT = rf"[{_class(EMOJI)}][{_MODIFIERS}]?(?:[\U000e0020-\U000e007e]+\U000e007f)?"
_SEQUENCE = re.compile(rf"[0-9#*]{KEYCAP}|{_FLAG}|{_ELEMENT}(?:{JOINER}{_ELEMENT})*")
_NEVER_QUALIFIED = rf"{_class(DRAWN_AS_EMOJI)}{_MODIFIERS}{JOINER}{KEYCAP}\U000e0020-\U000e007f"
_UNQUALIFIED = re.compile(rf"[^{_NEVER_QUALIFIED}](?![{_MODIFIERS}])")


def parse_emoji(text: str) -> str:
    """The emoji, fully qualified, so that ❤ with and without its variation selector are one. Raises EmojiInvalid."""
    bare = text.replace(VARIATION, "")
    if len(text) > MAX_CODE_POINTS or not _SEQUENCE.fullmatch(bare):
        raise EmojiInvalid
    if re.fullmatch(_FLAG, bare):
        return bare
    return _UNQUALIFIED.sub(lambda found: found.group() + VARIATION, bare)
