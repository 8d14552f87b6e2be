"""A user's list of conversations."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from services.chat.messages import COLUMNS, read_up_to
from services.chat.models import DECLINED, GROUP, Conversation
from services.chat.parameters import int_array
from services.chat.reading import receipts
from services.chat.reading.syncs import MAX_ANSWER, fitting
from services.kit.context import Caller
from services.kit.cursor import CursorInvalid, decode_cursor, encode_cursor
from services.kit.ids import Id
from services.kit.pages import check_batch, clamp
from services.kit.sql.connection import AsyncConnection
from services.kit.sql.statements import Bound, Statement

MAX_LIMIT = 500
MAX_USERS = 100  # in one call
ROW_BYTES = 200  # of a conversation in an answer, roughly, without its last message
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
# A lateral join with a limit uses one index look-up for each row, even where the rows are most of a small table. A
# direct conversation whose first message failed is left out, unless it is so new that the message may be on its way.
# Columns by name: a star would grow with the next release's migration, under statements that are prepared.
OF_CONVERSATION = ", ".join(f"one.{column.name}" for column in Conversation.__table__.columns)
PAGE = """SELECT page.*, user_marks.rev AS user_marks_rev
 FROM unnest(CAST(:users AS bigint[])) WITH ORDINALITY AS asked(user_id, place)
 LEFT JOIN LATERAL (SELECT rev FROM marks_rev WHERE user_id = asked.user_id LIMIT 1) AS user_marks ON true
 CROSS JOIN LATERAL (SELECT {conversation}, mine.user_id, mine.joined_seq, mine.delivered_seq, mine.read_seq,
  mine.request, mine.hidden_seq, mine.pinned, mine.muted, mine.muted_until, mine.marks_rev
  FROM conversation_member AS mine
  CROSS JOIN LATERAL (SELECT * FROM conversation WHERE id = mine.conversation_id LIMIT 1) AS one
  WHERE mine.user_id = asked.user_id AND mine.left_at IS NULL AND mine.request <> {declined}
  AND (one.kind = {group} OR one.last_seq > 0 OR one.created_at > now() - interval '1 minute') {after}
  AND NOT (:shown_only AND mine.hidden_seq IS NOT NULL AND one.last_seq <= mine.hidden_seq)
  ORDER BY mine.pinned DESC, one.active_at DESC, one.id DESC LIMIT :limit) AS page
 ORDER BY asked.place, page.pinned DESC, page.active_at DESC, page.id DESC"""
AFTER = "AND (mine.pinned, one.active_at, one.id) < (:pinned, :active_at, :id)"
FIRST: Statement[Any] = Statement(PAGE.format(conversation=OF_CONVERSATION, group=GROUP, declined=DECLINED, after=""))
NEXT: Statement[Any] = Statement(PAGE.format(conversation=OF_CONVERSATION, group=GROUP, declined=DECLINED, after=AFTER))
LAST: Statement[Any] = Statement(f"""SELECT message.*
 FROM unnest(CAST(:ids AS bigint[]), CAST(:seqs AS bigint[])) AS asked(id, seq)
 CROSS JOIN LATERAL (SELECT {COLUMNS} FROM message WHERE conversation_id = asked.id AND seq = asked.seq LIMIT 1
 ) AS message""")  # noqa: S608


class Summary(NamedTuple):
    conversation: Any
    unread: int
    last_message: Any | None


class ConversationPage(NamedTuple):
    summaries: Sequence[Summary] = ()
    next_cursor: str = ""
    marks_rev: int = 0

    @property
    def size(self) -> int:
        """Bytes, roughly."""
        return sum(ROW_BYTES + (each.last_message.size if each.last_message else 0) for each in self.summaries)


async def list_conversations(
    connection: AsyncConnection, caller: Caller, cursor: str, limit: int, shown_only: bool
) -> ConversationPage:
    """The pinned ones, then the others, each the most recently active first, with three queries for any number of them.
    `shown_only`: without the hidden ones. Raises CursorInvalid."""
    limit = clamp(limit, MAX_LIMIT)
    (rows,) = await connection.fetch_each(_page([caller.user_id], cursor, limit + 1, shown_only))
    return (await _summarise(connection, {caller.user_id: rows}, limit))[caller.user_id]


async def batch_list(connection: AsyncConnection, user_ids: Sequence[int], limit: int) -> dict[int, ConversationPage]:
    """The first page of each user, without those whose page does not fit into the answer. Raises BatchTooLarge."""
    check_batch(user_ids, MAX_USERS)
    limit = clamp(limit, MAX_LIMIT)
    by_user: dict[int, list[Any]] = {user_id: [] for user_id in user_ids}
    (rows,) = await connection.fetch_each(_page(list(by_user), "", limit + 1))
    for row in rows:
        by_user[row.user_id].append(row)
    pages: dict[int, ConversationPage] = {}
    room = MAX_ANSWER
    for some in _chunks(by_user):
        for user_id, page in (await _summarise(connection, some, limit)).items():
            room -= page.size
            if room < 0:
                return pages
            pages[user_id] = page
    return pages


def _chunks(by_user: Mapping[int, Sequence[Any]]) -> Iterator[Mapping[int, Sequence[Any]]]:
    """Splits the users into calls with at most as many conversations as one user may ask for: their last messages are
    in memory."""
    some: dict[int, Sequence[Any]] = {}
    count = 0
    for user_id, rows in by_user.items():
        if some and count + len(rows) > MAX_LIMIT:
            yield some
            some, count = {}, 0
        some[user_id] = rows
        count += len(rows)
    yield some


async def _summarise(
    connection: AsyncConnection, by_user: Mapping[int, Sequence[Any]], limit: int
) -> dict[int, ConversationPage]:
    """`by_user`: up to `limit` rows of each user, and one more if there are more."""
    shown = [row for rows in by_user.values() for row in rows[:limit]]
    if not shown:
        return dict.fromkeys(by_user, ConversationPage())
    seen = {row.id: row.last_seq for row in shown if row.last_seq > row.joined_seq}
    last_of = LAST.bind(ids=int_array(list(seen)), seqs=int_array(list(seen.values())))
    unread_of = receipts.unread_statement({(row.user_id, row.id): read_up_to(row) for row in shown})
    found, counted = await connection.fetch_each(last_of, unread_of)
    last, unread = {row.conversation_id: row for row in found}, receipts.unread_counts(counted)
    pages = {}
    for user_id, rows in by_user.items():
        summaries = [
            Summary(row, unread[user_id, row.id], last.get(row.id) if row.last_seq > row.joined_seq else None)
            for row in rows[:limit]
        ]
        pages[user_id] = _fitting_page(summaries, more=len(rows) > limit)
    return pages


def _fitting_page(summaries: Sequence[Summary], more: bool) -> ConversationPage:
    page = summaries[: max(fitting([each.last_message or _NOTHING for each in summaries]), 1)]
    rev = (page[0].conversation.user_marks_rev if page else None) or 0
    if not page or (len(page) == len(summaries) and not more):
        return ConversationPage(page, marks_rev=rev)
    last = page[-1].conversation
    cursor = encode_cursor((last.active_at - EPOCH) // MICROSECOND, last.id, int(last.pinned))
    return ConversationPage(page, cursor, rev)


class _Nothing(NamedTuple):
    size: int = 0


_NOTHING = _Nothing()


def _page(user_ids: Sequence[int], cursor: str, limit: int, shown_only: bool = False) -> Bound:
    """`limit` rows of each user; a cursor is for one user."""
    values: dict[str, object] = {"users": int_array(user_ids), "limit": limit, "shown_only": shown_only}
    position = decode_cursor(cursor, tuple[Id, Id, Id])
    if position is None:
        return FIRST.bind(**values)
    after = {"id": position[1], "pinned": bool(position[2])}
    try:
        return NEXT.bind(**values, **after, active_at=EPOCH + position[0] * MICROSECOND)
    except OverflowError:
        raise CursorInvalid from None
