"""Search in the messages that a user may read now: those of the conversations they are in, sent after they joined or
deleted the older ones for themselves, and not recalled.

Two ways lead to the newest ones. A text that few messages of all users have is looked up in the index of words, and
then kept to the user's conversations. For a frequent one that would read far more of others' messages than there are
of the user's: those are read conversation by conversation instead, from the newest on.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from services.chat.errors import SearchInvalid, SearchTooBroad
from services.chat.membership import members
from services.chat.messages import COLUMNS
from services.chat.models import DECLINED
from services.chat.reading.syncs import fitting
from services.chat.sending.content import CONTENT_TYPES
from services.kit.context import Caller
from services.kit.cursor import encode_cursor
from services.kit.pages import clamp, id_before
from services.kit.sql.connection import AsyncConnection
from services.kit.sql.statements import Statement
from services.kit.texts.text_search import query_of

MAX_FOUND = 100
SECONDS = 2  # for one statement
MAX_RARE = 2_000  # messages of all users that have the words, up to which these are looked up first
SLACK = 8  # messages of a conversation whose ids may be in another order than their seqs: clocks of replicas differ
CANCELLED = "57014"  # PostgreSQL's code of a statement that took too long
END_OF_TIME = 253_402_300_799_000  # in the year 9999; Unix milliseconds

BOUND = text(f"SELECT set_config('statement_timeout', '{SECONDS}s', true)")
RARE: Statement[Any] = Statement("""SELECT count(*) <= :most AS is_rare FROM (
 SELECT FROM message WHERE words @@ CAST(:words AS tsquery) LIMIT :most + 1) AS holding""")
WANTED = """message.seq > mine.joined_seq AND message.id < :before AND message.recalled_at IS NULL
 AND (:sender_id = 0 OR message.sender_id = :sender_id)
 AND (:content_types = '{{}}' OR message.content_type = ANY(CAST(:content_types AS text[])))
 AND message.created_at >= to_timestamp(CAST(:since AS float8) / 1000)
 AND message.created_at < to_timestamp(CAST(:until AS float8) / 1000)"""
MINE = f"""mine.left_at IS NULL AND mine.request <> {DECLINED}
 AND (:conversation_id = 0 OR mine.conversation_id = :conversation_id)"""
FROM_WORDS: Statement[Any] = Statement(
    f"""WITH found AS MATERIALIZED (SELECT conversation_id, seq FROM message WHERE words @@ CAST(:words AS tsquery))
 SELECT {COLUMNS} FROM found
 CROSS JOIN LATERAL (SELECT * FROM conversation_member
  WHERE conversation_id = found.conversation_id AND user_id = :user_id LIMIT 1) AS mine
 CROSS JOIN LATERAL (SELECT * FROM message
  WHERE message.conversation_id = found.conversation_id AND message.seq = found.seq LIMIT 1) AS message
 WHERE {MINE} AND {WANTED} ORDER BY message.id DESC LIMIT :limit""".replace("{{}}", "{}")  # noqa: S608
)
FROM_CONVERSATIONS: Statement[Any] = Statement(
    f"""SELECT message.* FROM unnest(ARRAY[CAST(:user_id AS bigint)]) AS searcher(id)
 JOIN conversation_member AS mine ON mine.user_id = searcher.id CROSS JOIN LATERAL (SELECT {COLUMNS} FROM message
  WHERE message.conversation_id = mine.conversation_id AND {WANTED}
  AND (:words = '' OR message.words @@ CAST(:words AS tsquery)) ORDER BY message.seq DESC LIMIT :limit + {SLACK}
 ) AS message WHERE {MINE} ORDER BY message.id DESC LIMIT :limit""".replace("{{}}", "{}")  # noqa: S608
)


class Wanted(NamedTuple):
    """`words` may be empty with a sender or a content type. `since` and `until`: Unix milliseconds; 0: no bound."""

    words: str
    conversation_id: int = 0
    sender_id: int = 0
    content_types: Sequence[str] = ()
    since: int = 0
    until: int = 0


async def search_messages(
    connection: AsyncConnection, caller: Caller, wanted: Wanted, cursor: str, limit: int
) -> tuple[Sequence[Any], str]:
    """The newest first, and the next page's cursor; none for a text without words. In a transaction.

    Raises ConversationNotFound, SearchInvalid, SearchTooBroad, CursorInvalid.
    """
    before = id_before(cursor)
    if not set(wanted.content_types) <= set(CONTENT_TYPES):
        raise SearchInvalid
    if wanted.conversation_id:
        await members.require_member(connection, caller, wanted.conversation_id)
    query, limit = query_of(wanted.words), clamp(limit, MAX_FOUND)
    if not query and (wanted.words.strip() or not (wanted.sender_id or wanted.content_types)):
        return [], ""
    await connection.execute(BOUND)
    try:
        rows = await _find(connection, caller, wanted, query, before, limit + 1)
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", "") == CANCELLED:
            raise SearchTooBroad from None
        raise
    page = rows[: min(limit, max(fitting(rows), 1))]
    return page, encode_cursor(page[-1].id) if len(page) < len(rows) else ""


async def _find(
    connection: AsyncConnection, caller: Caller, wanted: Wanted, query: str, before: int, limit: int
) -> Sequence[Any]:
    values = {
        "user_id": caller.user_id,
        "words": query,
        "conversation_id": wanted.conversation_id,
        "sender_id": wanted.sender_id,
        "content_types": "{" + ",".join(wanted.content_types) + "}",
        "since": wanted.since,
        "until": wanted.until or END_OF_TIME,
        "before": before,
        "limit": limit,
    }
    is_rare = False
    if query:
        ((is_rare,),) = await connection.fetch(RARE, words=query, most=MAX_RARE)
    return await connection.fetch(FROM_WORDS if is_rare else FROM_CONVERSATIONS, **values)
