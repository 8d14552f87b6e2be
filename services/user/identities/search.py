"""Searching users by their username, or by an exact phone or email if its user allows that."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from sqlalchemy import Row, and_, or_, select

from services.kit.db import one_of
from services.kit.pages import clamp
from services.kit.sql.connection import AsyncConnection
from services.name_search.queries import NameSearch
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
NAMES = NameSearch.of(
    "account",
    "username_key",
    "deleted_at IS NULL AND disabled_at IS NULL AND banned_at IS NULL AND profile_hidden_at IS NULL",
)


async def search_users(
    connection: AsyncConnection, query: str, region: str, cursor: str, limit: int, proven_only: bool = False
) -> tuple[Sequence[Row[Any]], str]:
    """A page of those whose name begins with the query, then of those who have it inside, and the next page's cursor.
    Matches of a phone or email come first of all.

    `proven_only`: a phone finds only those who have proven it.

    Raises CursorInvalid.
    """
    key = username_key(query)
    if not key or "\0" in key:
        return [], ""
    exact = await _find_exact(connection, query, region, proven_only)
    without = [row.id for row in exact]
    ids, next_cursor = await NAMES.find(connection, key, cursor, clamp(limit, MAX_LIMIT), without)
    rows = await connection.execute(select(Account.__table__).where(one_of(Account.id, ids)))
    accounts = {row.id: row for row in rows}
    named = [accounts[id] for id in ids if id in accounts]
    return named if cursor else [*exact, *named], next_cursor


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
