"""Searching users by the beginning of a username, or by an exact phone or email if its user allows that."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from sqlalchemy import Row, and_, collate, or_, select

from services.kit.cursor import CursorInvalid, decode_cursor, encode_cursor
from services.kit.pages import clamp
from services.kit.sql.connection import AsyncConnection
from services.user.errors import EmailInvalid, PhoneInvalid
from services.user.identities.parsing import parse_email, parse_phone, username_key
from services.user.models import Account

MAX_LIMIT = 100
FINDABLE = (
    Account.deleted_at.is_(None),
    Account.disabled_at.is_(None),
    Account.banned_at.is_(None),
    Account.profile_hidden_at.is_(None),
)
ordered_key = collate(Account.username_key, "C")  # in byte order, like the index
LAST = "\U0010ffff"  # sorts after every character that may follow a prefix


async def search_users(
    connection: AsyncConnection, query: str, region: str, cursor: str, limit: int, proven_only: bool = False
) -> tuple[Sequence[Row[Any]], str]:
    """A page ordered by username, and the next page's cursor. Matches of a phone or email come first of all.

    `proven_only`: a phone finds only those who have proven it.

    Raises CursorInvalid.
    """
    after = decode_cursor(cursor, tuple[str])
    if after and "\0" in after[0]:
        raise CursorInvalid
    prefix, limit = username_key(query), clamp(limit, MAX_LIMIT)
    if not prefix or "\0" in prefix:
        return [], ""
    exact = await _find_exact(connection, query, region, proven_only)
    # A range, not LIKE: its index is used whether or not the statement is prepared.
    named = select(Account.__table__).where(
        *FINDABLE, ordered_key >= prefix, ordered_key < prefix + LAST, Account.id.not_in([row.id for row in exact])
    )
    if after:
        named = named.where(ordered_key > after[0])
    rows = (await connection.execute(named.order_by(ordered_key).limit(limit + 1))).all()
    page = rows[:limit]
    next_cursor = encode_cursor(page[-1].username_key) if len(rows) > limit else ""
    return page if after else [*exact, *page], next_cursor


async def _find_exact(connection: AsyncConnection, query: str, region: str, proven_only: bool) -> Sequence[Row[Any]]:
    ways = []
    with suppress(EmailInvalid):
        ways.append(and_(Account.email == parse_email(query), Account.searchable_by_email))
    with suppress(PhoneInvalid):
        proven = [Account.phone_proven_at.is_not(None)] if proven_only else []
        ways.append(and_(Account.phone == parse_phone(query, region), Account.searchable_by_phone, *proven))
    if not ways:
        return []
    return (await connection.execute(select(Account.__table__).where(*FINDABLE, or_(*ways)))).all()
