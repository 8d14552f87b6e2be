"""The list of a user's conversations, and the search in them."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.chat import members, receipts
from services.chat.messages import COLUMNS
from services.chat.models import GROUP
from services.chat.statements import Statement, fetch, numbers
from services.chat.syncs import fitting
from services.chat.words import query_of
from services.kit.context import Caller
from services.kit.cursor import CursorInvalid, decode_cursor, encode_cursor
from services.kit.ids import Id

MAX_LIMIT, MAX_FOUND = 500, 100
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
# A lateral with a limit: one look into its index for each, even if they are a good part of a small table. A direct
# one whose first message failed is as good as none; but that message may be under way.
PAGE = """SELECT one.*, mine.joined_seq, mine.read_seq FROM conversation_member AS mine
 CROSS JOIN LATERAL (SELECT * FROM conversation WHERE id = mine.conversation_id LIMIT 1) AS one
 WHERE mine.user_id = :user_id AND mine.left_at IS NULL
 AND (one.kind = {group} OR one.last_seq > 0 OR one.created_at > now() - interval '1 minute') {after}
 ORDER BY one.active_at DESC, one.id DESC LIMIT :limit"""
FIRST = Statement(PAGE.format(group=GROUP, after=""))
NEXT = Statement(PAGE.format(group=GROUP, after="AND (one.active_at, one.id) < (:active_at, :id)"))
LAST = Statement(f"""SELECT message.* FROM unnest(CAST(:ids AS bigint[]), CAST(:seqs AS bigint[])) AS asked(id, seq)
 CROSS JOIN LATERAL (SELECT {COLUMNS} FROM message WHERE conversation_id = asked.id AND seq = asked.seq LIMIT 1
 ) AS message""")  # noqa: S608
SEARCH = """SELECT {columns} FROM message
 JOIN conversation_member AS mine ON mine.conversation_id = message.conversation_id AND mine.user_id = :user_id
  AND mine.left_at IS NULL AND message.seq > mine.joined_seq
 WHERE message.words @@ CAST(:words AS tsquery) AND message.id < :before {where}
 ORDER BY message.id DESC LIMIT :limit"""
SEARCH_ALL = text(SEARCH.format(columns=COLUMNS, where=""))
SEARCH_ONE = text(SEARCH.format(columns=COLUMNS, where="AND message.conversation_id = :conversation_id"))


class Summary(NamedTuple):
    conversation: Any
    unread: int
    last_message: Any | None


async def list_conversations(
    connection: AsyncConnection, caller: Caller, cursor: str, limit: int
) -> tuple[Sequence[Summary], str]:
    """The most recently active first. Three queries, whatever their number. Raises CursorInvalid."""
    limit = min(max(limit, 1), MAX_LIMIT)
    (rows,) = await fetch(connection, _page(caller, cursor, limit + 1))
    if not rows:
        return [], ""
    page = rows[:limit]
    seen = [row for row in page if row.last_seq > row.joined_seq]
    last_of = {"ids": numbers([row.id for row in seen]), "seqs": numbers([row.last_seq for row in seen])}
    unread_of = receipts.unread(caller.user_id, {row.id: row.read_seq for row in page})
    found, counted = await fetch(connection, (LAST, last_of), unread_of)
    last = {row.conversation_id: row for row in found}
    unread = {row.conversation: row.unread for row in counted}
    page = page[: max(fitting([last.get(row.id, _NOTHING) for row in page]), 1)]
    summaries = [Summary(row, unread[row.id], last.get(row.id)) for row in page]
    if len(page) == len(rows):
        return summaries, ""
    return summaries, encode_cursor((page[-1].active_at - EPOCH) // MICROSECOND, page[-1].id)


class _Nothing(NamedTuple):
    size: int = 0


_NOTHING = _Nothing()


def _page(caller: Caller, cursor: str, limit: int) -> tuple[Statement, dict[str, object]]:
    values: dict[str, object] = {"user_id": caller.user_id, "limit": limit}
    place = decode_cursor(cursor, tuple[Id, Id])
    if place is None:
        return FIRST, values
    try:
        return NEXT, values | {"active_at": EPOCH + place[0] * MICROSECOND, "id": place[1]}
    except OverflowError:
        raise CursorInvalid from None


async def search_messages(
    connection: AsyncConnection, caller: Caller, words: str, conversation_id: int, cursor: str, limit: int
) -> tuple[Sequence[Row[Any]], str]:
    """The newest first; none for a text without words. Raises ConversationNotFound, CursorInvalid."""
    place = decode_cursor(cursor, tuple[Id])
    if conversation_id:
        await members.require_member(connection, caller, conversation_id)
    query = query_of(words)
    if not query:
        return [], ""
    limit = min(max(limit, 1), MAX_FOUND)
    values = {"user_id": caller.user_id, "words": query, "before": place[0] if place else 2**63 - 1}
    values |= {"limit": limit + 1, "conversation_id": conversation_id}
    rows = (await connection.execute(SEARCH_ONE if conversation_id else SEARCH_ALL, values)).all()
    page = rows[: min(limit, max(fitting(rows), 1))]
    return page, encode_cursor(page[-1].id) if len(page) < len(rows) else ""
