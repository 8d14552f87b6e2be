"""The list of a user's conversations, and the search in them."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Row, literal, or_, select, text, true, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from services.chat import members, receipts
from services.chat.messages import COLUMNS
from services.chat.models import GROUP, Conversation, ConversationMember
from services.chat.syncs import fitting
from services.chat.words import query_of
from services.kit.context import Caller
from services.kit.db import CursorInvalid, decode_cursor, encode_cursor
from services.kit.ids import Id

MAX_LIMIT, MAX_FOUND = 500, 100
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
UNDER_WAY = text("now() - interval '1 minute'")

LAST = text(f"""SELECT message.* FROM unnest(CAST(:ids AS bigint[]), CAST(:seqs AS bigint[])) AS asked(id, seq)
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
    rows = (await connection.execute(_page(caller, cursor, limit + 1))).all()
    page = rows[:limit]
    seen = [row for row in page if row.last_seq > row.joined_seq]
    last = {row.conversation_id: row for row in await _last_messages(connection, seen)}
    page = page[: max(fitting([last.get(row.id, _NOTHING) for row in page]), 1)]
    unread = await receipts.count_unread(connection, caller.user_id, {row.id: row.read_seq for row in page})
    summaries = [Summary(row, unread[row.id], last.get(row.id)) for row in page]
    if len(page) == len(rows):
        return summaries, ""
    return summaries, encode_cursor((page[-1].active_at - EPOCH) // MICROSECOND, page[-1].id)


class _Nothing(NamedTuple):
    size: int = 0


_NOTHING = _Nothing()


def _page(caller: Caller, cursor: str, limit: int) -> Any:
    member = ConversationMember
    # A lateral with a limit: one look into its index for each, even if they are a good part of a small table.
    one = select(Conversation.__table__).where(Conversation.id == member.conversation_id).limit(1).lateral()
    query = (
        select(one, member.joined_seq, member.read_seq)
        .join_from(member, one, true())
        .where(member.user_id == caller.user_id, members.LIVE)
        # A direct one whose first message failed is as good as none; but that message may be under way.
        .where(or_(one.c.kind == GROUP, one.c.last_seq > 0, one.c.created_at > UNDER_WAY))
        .order_by(one.c.active_at.desc(), one.c.id.desc())
        .limit(limit)
    )
    place = decode_cursor(cursor, tuple[Id, Id])
    if place is None:
        return query
    try:
        active_at = EPOCH + place[0] * MICROSECOND
    except OverflowError:
        raise CursorInvalid from None
    return query.where(tuple_(one.c.active_at, one.c.id) < tuple_(literal(active_at), literal(place[1])))


async def _last_messages(connection: AsyncConnection, rows: Sequence[Any]) -> Sequence[Row[Any]]:
    if not rows:
        return []
    values = {"ids": [row.id for row in rows], "seqs": [row.last_seq for row in rows]}
    return (await connection.execute(LAST, values)).all()


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
