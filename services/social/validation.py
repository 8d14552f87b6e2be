"""What users write: how long it may be, and what it may not hold."""

import unicodedata
from datetime import UTC, datetime
from urllib.parse import urlsplit

from services.kit.errors import Invalid
from services.social.errors import GroupInvalid, GroupNameEmpty, MessageInvalid, RemarkInvalid

MAX_MESSAGE, MAX_REMARK = 500, 50  # characters, like those below
MAX_NAME, MAX_DESCRIPTION, MAX_ANNOUNCEMENT, MAX_ICON = 50, 500, 2_000, 2_048
OLDEST_TIME = 1_000_000_000  # Unix seconds; what is before is a client's mistake


def check_message(message: str) -> None:
    """Of a request. Raises MessageInvalid."""
    _check(message, MAX_MESSAGE, MessageInvalid())


def check_remark(remark: str) -> None:
    """Raises RemarkInvalid."""
    _check(remark, MAX_REMARK, RemarkInvalid())


def parse_group_fields(fields: dict[str, str]) -> dict[str, str]:
    """The given ones of `name, icon, description, announcement` as stored, `name_key` with the name.

    Raises GroupNameEmpty, GroupInvalid.
    """
    values = dict(fields)
    if "name" in fields:
        name = unicodedata.normalize("NFC", fields["name"]).strip()
        values |= {"name": name, "name_key": name_key(name)}
        _check(name, MAX_NAME, GroupInvalid("name"))
        if not values["name_key"]:
            raise GroupNameEmpty
        if any(unicodedata.category(c) == "Cc" for c in name):
            raise GroupInvalid("name")
    _check(fields.get("description", ""), MAX_DESCRIPTION, GroupInvalid("description"))
    _check(fields.get("announcement", ""), MAX_ANNOUNCEMENT, GroupInvalid("announcement"))
    _check_icon(fields.get("icon", ""))
    return values


def name_key(name: str) -> str:
    """What is searched: the name without case, width and what cannot be seen."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    return "".join(c for c in folded if unicodedata.category(c) not in ("Cf", "Cc")).strip()


def _check(text: str, most: int, error: Invalid) -> None:
    if len(text) > most or "\0" in text:  # which PostgreSQL does not store
        raise error


def _check_icon(url: str) -> None:
    """What a front end may load as an image address."""
    try:
        scheme = urlsplit(url.strip()).scheme
    except ValueError:
        raise GroupInvalid("icon") from None
    if len(url) > MAX_ICON or scheme not in ("", "http", "https") or not url.isprintable():
        raise GroupInvalid("icon")


def parse_time(seconds: int) -> datetime:
    """When a client says he asked; now, if he says nothing or what cannot be."""
    now = datetime.now(UTC)
    return datetime.fromtimestamp(seconds, UTC) if OLDEST_TIME <= seconds <= now.timestamp() else now
