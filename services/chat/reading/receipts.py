"""How far each member has got, and how much he has not read."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Row, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.chat.membership import members
from services.chat.messages import PUSHED_RECEIPTS
from services.chat.models import ConversationMember
from services.chat.pipeline import Statement, fetch, numbers
from services.chat.push import frames
from services.chat.service import Service
from services.kit.context import Caller

MAX_UNREAD = 100
MAX_LIMIT = 500

# Nothing goes back, and nobody has read what was not sent.
MARK = """UPDATE conversation_member AS mine SET delivered_seq = greatest(delivered_seq, least(:seq, last_seq)){read}
 FROM conversation WHERE conversation.id = mine.conversation_id AND mine.conversation_id = :conversation_id
 AND user_id = :user_id AND left_at IS NULL AND {column} < least(:seq, last_seq)
 RETURNING mine.*, conversation.member_count"""
READ = text(MARK.format(read=", read_seq = greatest(read_seq, least(:seq, last_seq))", column="read_seq"))
DELIVERED = text(MARK.format(read="", column="delivered_seq"))
UNREAD = Statement(f"""SELECT asked.user_id, asked.conversation, counted.unread
 FROM unnest(CAST(:users AS bigint[]), CAST(:conversations AS bigint[]), CAST(:seqs AS bigint[]))
  AS asked(user_id, conversation, seq)
 CROSS JOIN LATERAL (SELECT count(*) AS unread FROM (
  SELECT FROM message WHERE conversation_id = asked.conversation AND seq > asked.seq
  AND sender_id <> asked.user_id AND recalled_at IS NULL LIMIT {MAX_UNREAD}) AS found) AS counted""")  # noqa: S608
Place = tuple[int, int]  # a user and a conversation


async def mark_read(service: Service, caller: Caller, conversation_id: int, seq: int) -> tuple[int, int]:
    """Up to where he has read now, and how much he has not. Raises ConversationNotFound."""
    row = await _mark(service, READ, caller, conversation_id, seq)
    async with service.database.transaction() as connection:
        place = caller.user_id, conversation_id
        unread = await count_unread(connection, {place: row.read_seq})
    return row.read_seq, unread[place]


async def mark_delivered(service: Service, caller: Caller, conversation_id: int, seq: int) -> int:
    """Up to where his devices have the messages now. Raises ConversationNotFound."""
    return int((await _mark(service, DELIVERED, caller, conversation_id, seq)).delivered_seq)


async def _mark(service: Service, statement: Any, caller: Caller, conversation_id: int, seq: int) -> Any:
    values = {"conversation_id": conversation_id, "user_id": caller.user_id, "seq": seq}
    async with service.database.transaction() as connection:
        row = (await connection.execute(statement, values)).one_or_none()
        if row is None:  # it changes nothing
            return await members.require_member(connection, caller, conversation_id)
    pushed = row.member_count <= PUSHED_RECEIPTS
    service.publisher.put_passing(frames.receipt(row, pushed))
    return row


async def count_unread(connection: AsyncConnection, read_seqs: Mapping[Place, int]) -> dict[Place, int]:
    """Up to MAX_UNREAD: others' messages beyond what he has read, but not the recalled ones."""
    (rows,) = await fetch(connection, unread(read_seqs))
    return counts(rows)


def unread(read_seqs: Mapping[Place, int]) -> tuple[Statement, dict[str, object]]:
    users, conversations = [user for user, _ in read_seqs], [conversation for _, conversation in read_seqs]
    seqs = numbers(list(read_seqs.values()))
    return UNREAD, {"users": numbers(users), "conversations": numbers(conversations), "seqs": seqs}


def counts(rows: Sequence[Any]) -> dict[Place, int]:
    return {(row.user_id, row.conversation): row.unread for row in rows}


async def get_receipts(
    connection: AsyncConnection, caller: Caller, conversation_id: int, after_user_id: int, limit: int
) -> Sequence[Row[Any]]:
    """Of the members, by user id. Raises ConversationNotFound."""
    await members.require_member(connection, caller, conversation_id)
    member = ConversationMember
    query = select(member.__table__).where(member.conversation_id == conversation_id, members.LIVE)
    query = query.where(member.user_id > after_user_id).order_by(member.user_id)
    return (await connection.execute(query.limit(min(max(limit, 1), MAX_LIMIT)))).all()
