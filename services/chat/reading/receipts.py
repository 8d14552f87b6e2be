"""How far each member has received and read a conversation, and how much they have not read."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Row, text

from services.chat.apart import IN_CONVERSATION, positions
from services.chat.membership import members
from services.chat.messages import PUSHED_RECEIPTS, read_up_to
from services.chat.models import ASKED, DECLINED
from services.chat.parameters import int_array
from services.chat.push import frames
from services.chat.push.outbox import Publisher
from services.kit.context import Caller
from services.kit.db import after_commit
from services.kit.pages import clamp
from services.kit.sql.connection import AsyncConnection
from services.kit.sql.statements import Bound, Statement

MAX_UNREAD = 100
MAX_LIMIT = 500

# A position never goes back, nor beyond the last message.
MARK = f"""UPDATE conversation_member AS mine SET delivered_seq = greatest(delivered_seq, least(:seq, last_seq)){{read}}
 FROM conversation WHERE conversation.id = mine.conversation_id AND mine.conversation_id = :conversation_id
 AND user_id = :user_id AND left_at IS NULL AND {{column}} < least(:seq, last_seq)
 RETURNING mine.*, conversation.member_count, {IN_CONVERSATION} AS apart"""  # noqa: S608
READ = text(MARK.format(read=", read_seq = greatest(read_seq, least(:seq, last_seq))", column="read_seq"))
DELIVERED = text(MARK.format(read="", column="delivered_seq"))
# Locks rows in one order, so that two batches never wait for each other.
BATCH_DELIVERED = text(f"""WITH mark AS (
  SELECT member.conversation_id, member.user_id, least(asked.seq, last_seq) AS seq, member_count
  FROM (SELECT user_id, conversation_id, max(seq) AS seq
   FROM unnest(CAST(:users AS bigint[]), CAST(:conversations AS bigint[]), CAST(:seqs AS bigint[]))
    AS each(user_id, conversation_id, seq) GROUP BY user_id, conversation_id) AS asked
  JOIN conversation_member AS member USING (conversation_id, user_id)
  JOIN conversation ON conversation.id = member.conversation_id
  WHERE left_at IS NULL AND delivered_seq < least(asked.seq, last_seq)
  ORDER BY member.conversation_id, member.user_id FOR NO KEY UPDATE OF member)
 UPDATE conversation_member AS mine SET delivered_seq = mark.seq FROM mark
 WHERE mine.conversation_id = mark.conversation_id AND mine.user_id = mark.user_id AND delivered_seq < mark.seq
 RETURNING mine.*, mark.member_count, {IN_CONVERSATION} AS apart""")  # noqa: S608
UNREAD: Statement[Any] = Statement(f"""SELECT asked.user_id, asked.conversation, counted.unread
 FROM unnest(CAST(:users AS bigint[]), CAST(:conversations AS bigint[]), CAST(:seqs AS bigint[]))
  AS asked(user_id, conversation, seq)
 CROSS JOIN LATERAL (SELECT count(*) AS unread FROM (
  SELECT FROM message WHERE conversation_id = asked.conversation AND seq > asked.seq
  AND sender_id <> asked.user_id AND recalled_at IS NULL LIMIT {MAX_UNREAD}) AS found) AS counted""")  # noqa: S608
RECEIPTS = text(f"""SELECT {positions("member")} FROM conversation_member AS member
 WHERE conversation_id = :id AND left_at IS NULL AND user_id > :after ORDER BY user_id LIMIT :limit""")  # noqa: S608
MemberKey = tuple[int, int]  # user id, conversation id


async def mark_read(
    connection: AsyncConnection, publisher: Publisher, caller: Caller, conversation_id: int, seq: int
) -> tuple[int, int]:
    """The seq up to which the caller has read now, and how many messages are unread. Raises ConversationNotFound."""
    row = await _mark(connection, publisher, READ, caller, conversation_id, seq)
    key = caller.user_id, conversation_id
    unread = await count_unread(connection, {key: read_up_to(row)})
    return row.read_seq, unread[key]


async def mark_delivered(
    connection: AsyncConnection, publisher: Publisher, caller: Caller, conversation_id: int, seq: int
) -> int:
    """The seq up to which the caller's devices have the messages now. Raises ConversationNotFound."""
    return int((await _mark(connection, publisher, DELIVERED, caller, conversation_id, seq)).delivered_seq)


async def _mark(
    connection: AsyncConnection, publisher: Publisher, statement: Any, caller: Caller, conversation_id: int, seq: int
) -> Any:
    values = {"conversation_id": conversation_id, "user_id": caller.user_id, "seq": seq}
    row = (await connection.execute(statement, values)).one_or_none()
    if row is None:  # nothing changed
        return await members.require_member(connection, caller, conversation_id)
    _push_later(connection, publisher, row)
    return row


async def batch_mark_delivered(
    connection: AsyncConnection, publisher: Publisher, delivered: Sequence[tuple[int, int, int]]
) -> None:
    """`delivered`: user id, conversation id and seq. What a user is no member of is left out."""
    users, conversations, seqs = (list(each) for each in zip(*delivered, strict=True)) if delivered else ([], [], [])
    values = {"users": users, "conversations": conversations, "seqs": seqs}
    for row in await connection.execute(BATCH_DELIVERED, values):
        _push_later(connection, publisher, row)


def _push_later(connection: AsyncConnection, publisher: Publisher, row: Any) -> None:
    is_open = row.request not in (ASKED, DECLINED)  # else nobody hears that the caller has the request
    receipt = frames.receipt(row, to_all=is_open and row.member_count <= PUSHED_RECEIPTS)
    after_commit(connection, lambda: publisher.publish_unstored(receipt))


async def count_unread(connection: AsyncConnection, read_seqs: Mapping[MemberKey, int]) -> dict[MemberKey, int]:
    """Others' messages beyond what each member has read, without recalled ones, up to MAX_UNREAD."""
    (rows,) = await connection.fetch_each(unread_statement(read_seqs))
    return unread_counts(rows)


def unread_statement(read_seqs: Mapping[MemberKey, int]) -> Bound:
    users, conversations = [user for user, _ in read_seqs], [conversation for _, conversation in read_seqs]
    seqs = int_array(list(read_seqs.values()))
    return UNREAD.bind(users=int_array(users), conversations=int_array(conversations), seqs=seqs)


def unread_counts(rows: Sequence[Any]) -> dict[MemberKey, int]:
    return {(row.user_id, row.conversation): row.unread for row in rows}


async def get_receipts(
    connection: AsyncConnection, caller: Caller, conversation_id: int, after_user_id: int, limit: int
) -> Sequence[Row[Any]]:
    """The members' rows, by user id; positions that the caller may not see are 0. Raises ConversationNotFound."""
    await members.require_member(connection, caller, conversation_id)
    values = {"viewer": caller.user_id, "id": conversation_id, "after": after_user_id}
    return (await connection.execute(RECEIPTS, values | {"limit": clamp(limit, MAX_LIMIT)})).all()
