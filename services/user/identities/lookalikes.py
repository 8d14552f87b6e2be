"""Usernames that look alike: the visible part of a name, and its skeleton (UTS #39).

The key of a username leaves out invisible characters; it is unique. The skeleton also maps letters that look alike to
one letter, such as Cyrillic а to a, and 1, I and l. Two users may share a skeleton, but no user may look like staff or
like a reserved name.
"""

import unicodedata
from functools import cache
from pathlib import Path

from sqlalchemy import select

from services.kit.roles import ADMIN
from services.kit.sql.connection import AsyncConnection
from services.kit.texts.text_search import fold
from services.user.errors import UsernameTaken
from services.user.models import Account

# Default_Ignorable_Code_Point of Unicode, which Python does not know, and the blank of Braille.
_IGNORABLE = (
    (0x00AD, 0x00AD),
    (0x034F, 0x034F),
    (0x061C, 0x061C),
    (0x115F, 0x1160),
    (0x17B4, 0x17B5),
    (0x180B, 0x180F),
    (0x200B, 0x200F),
    (0x202A, 0x202E),
    (0x2060, 0x206F),
    (0x2800, 0x2800),
    (0x3164, 0x3164),
    (0xFE00, 0xFE0F),
    (0xFEFF, 0xFEFF),
    (0xFFA0, 0xFFA0),
    (0xFFF0, 0xFFF8),
    (0x1BCA0, 0x1BCA3),
    (0x1D173, 0x1D17A),
    (0xE0000, 0xE0FFF),
)
UNSEEN = frozenset(code for first, last in _IGNORABLE for code in range(first, last + 1))
ROUNDS = 4  # of folding, until a key no longer changes
TABLE = Path(__file__).parent / "confusables.txt"


def seen(text: str) -> str:
    """The text without invisible characters; each run of them becomes one space."""
    shown = "".join(c for c in text if ord(c) not in UNSEEN and unicodedata.category(c) != "Cf")
    return " ".join(shown.split())


def seen_key(text: str) -> str:
    """The folded form of the visible text. Leaving a character out may join others, which are folded again."""
    for _ in range(ROUNDS):
        folded = seen(fold(text))
        if folded == text:
            break
        text = folded
    return text


def has_visible(text: str) -> bool:
    """Whether the text has a visible character other than combining marks."""
    return any(unicodedata.category(c)[0] not in "MZC" for c in seen(text))


def is_noncharacter(c: str) -> bool:
    return 0xFDD0 <= ord(c) <= 0xFDEF or ord(c) & 0xFFFE == 0xFFFE


def skeleton(name: str) -> str:
    """Equal for names that look alike. Case is folded in between, since capital I looks like l and small i like 1."""
    return _prototypes(fold(_prototypes(seen(name)))).replace("i", "l").replace(" ", "")


async def require_no_impostor(
    connection: AsyncConnection, name: str, reserved: tuple[str, ...], user_id: int = 0
) -> None:
    """Raises UsernameTaken for a name that looks reserved, or like the name of a staff member other than `user_id`."""
    form = skeleton(name)
    staff = (Account.username_skeleton == form, Account.role >= ADMIN, Account.deleted_at.is_(None))
    query = select(Account.id).where(*staff, Account.id != user_id).limit(1)
    if form in map(skeleton, reserved) or (await connection.execute(query)).one_or_none():
        raise UsernameTaken


def _prototypes(text: str) -> str:
    table = _table()
    shown = "".join(table.get(c, c) for c in unicodedata.normalize("NFKD", text))
    return unicodedata.normalize("NFKD", shown)


@cache
def _table() -> dict[str, str]:
    lines = (line for line in TABLE.read_text().splitlines() if not line.startswith("#"))
    pairs = (line.split("; ") for line in lines)
    return {
        chr(int(source, 16)): "".join(chr(int(code, 16)) for code in prototype.split())
        for prototype, sources in pairs
        for source in sources.split()
    }
