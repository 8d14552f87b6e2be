"""Checks of the texts, names, addresses and times that clients send."""

import unicodedata
from collections.abc import Iterable
from datetime import UTC, datetime
from urllib.parse import urlsplit

from services.kit.errors import Invalid
from services.kit.texts.text_search import fold
from services.social.errors import GroupInvalid, GroupNameEmpty, MessageInvalid, RemarkInvalid, ResultInvalid
from services.social.models import ACCEPTED, PENDING, REFUSED

MAX_MESSAGE, MAX_REMARK = 500, 50  # characters, like those below
MAX_NAME, MAX_DESCRIPTION, MAX_ANNOUNCEMENT, MAX_ICON = 50, 500, 2_000, 2_048
RESULTS = frozenset((PENDING, ACCEPTED, REFUSED))  # of friend requests and applications
OLDEST_TIME = 1_000_000_000  # Unix seconds; an earlier time is a client's mistake


def check_message(message: str) -> None:
    """The message of a request. Raises MessageInvalid."""
    _check(message, MAX_MESSAGE, MessageInvalid())


def check_remark(remark: str) -> None:
    """Raises RemarkInvalid."""
    _check(remark, MAX_REMARK, RemarkInvalid())


def parse_results(results: Iterable[int]) -> list[int]:
    """Those that a list is asked for; all of them if it names none. Raises ResultInvalid."""
    wanted = set(results)
    if not wanted <= RESULTS:
        raise ResultInvalid
    return list(wanted or RESULTS)


def parse_group_fields(fields: dict[str, str]) -> dict[str, str]:
    """The given fields of `name, icon, description, announcement` as they are stored, and `name_key` beside a name.

    Raises GroupNameEmpty, GroupInvalid.
    """
    values = dict(fields)
    if "name" in fields:
        name = unicodedata.normalize("NFC", fields["name"]).strip()
        values |= {"name": name, "name_key": name_key(name)}
        _check(name, MAX_NAME, GroupInvalid(field="name"))
        if not values["name_key"]:
            raise GroupNameEmpty
        if any(unicodedata.category(c) == "Cc" for c in name):
            raise GroupInvalid(field="name")
    _check(fields.get("description", ""), MAX_DESCRIPTION, GroupInvalid(field="description"))
    _check(fields.get("announcement", ""), MAX_ANNOUNCEMENT, GroupInvalid(field="announcement"))
    _check_icon(fields.get("icon", ""))
    return values


def name_key(name: str) -> str:
    """The name as it is searched: without case, width and invisible characters."""
    return "".join(c for c in fold(name) if unicodedata.category(c) not in ("Cf", "Cc")).strip()


def _check(text: str, most: int, error: Invalid) -> None:
    if len(text) > most or "\0" in text:  # PostgreSQL stores no NUL
        raise error


def _check_icon(url: str) -> None:
    """Raises GroupInvalid for an address that a front end should not load as an image."""
    try:
        scheme = urlsplit(url.strip()).scheme
    except ValueError:
        raise GroupInvalid(field="icon") from None
    if len(url) > MAX_ICON or scheme not in ("", "http", "https") or not url.isprintable():
        raise GroupInvalid(field="icon")
    if url.strip().replace("\\", "/").startswith("//"):  # browsers take it for another host
        raise GroupInvalid(field="icon")


def parse_time(seconds: int) -> datetime:
    """The time that a client gives for a request; now, if it gives none or an impossible one."""
    now = datetime.now(UTC)
    return datetime.fromtimestamp(seconds, UTC) if OLDEST_TIME <= seconds <= now.timestamp() else now
