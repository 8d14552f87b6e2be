"""What a client has missed, and the pages of what was before."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Row, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.chat.errors import BatchTooLarge
from services.chat.membership import members
from services.chat.messages import COLUMNS
from services.chat.models import Conversation, ConversationMember
from services.kit.context import Caller

MAX_POINTS, MAX_REVS = 200, 1_000
MAX_ROWS = 200  # further behind than this, a client pages back instead
MAX_PAGE = 100
MAX_ANSWER = 2 * 1024 * 1024  # bytes of bodies; gRPC takes 4 MiB

POINTS = """unnest(CAST(:ids AS bigint[]), CAST(:from_revs AS bigint[]), CAST(:to_revs AS bigint[]),
 CAST(:joined AS bigint[]), CAST(:joined_revs AS bigint[]))
 WITH ORDINALITY AS point(id, from_rev, to_rev, joined_seq, joined_rev, place)"""
# The body only while all of them together fit into an answer.
FITTING = COLUMNS.replace("message.body::text", f"CASE WHEN total <= {MAX_ANSWER} THEN body::text END")
CHANGED = text(f"""SELECT {FITTING}, total FROM (
 SELECT changed.*, place, sum(size + 200) OVER (ORDER BY place, rev) AS total FROM {POINTS} CROSS JOIN LATERAL (
  SELECT * FROM message WHERE conversation_id = point.id AND rev > point.from_rev AND rev <= point.to_rev
  AND seq > point.joined_seq ORDER BY rev LIMIT {MAX_ROWS + 1}) AS changed
 ) AS message ORDER BY place, rev""")  # noqa: S608
# Both of a direct conversation always: their receipts are durable nowhere else. Nobody who left before one joined.
MEMBERS = text(f"""SELECT changed.* FROM {POINTS} CROSS JOIN LATERAL (
 (SELECT * FROM conversation_member WHERE conversation_id = point.id AND rev > point.from_rev AND rev <= point.to_rev
  AND (left_at IS NULL OR rev > point.joined_rev) ORDER BY rev LIMIT {MAX_ROWS + 1})
 UNION (SELECT * FROM conversation_member WHERE conversation_id = point.id AND rev = 0 AND event_id = 0 LIMIT 2)
 ) AS changed ORDER BY place, rev, user_id""")  # noqa: S608
HISTORY = text(f"""SELECT {COLUMNS} FROM message
 WHERE conversation_id = :id AND seq < :before AND seq > :joined_seq ORDER BY seq DESC LIMIT :limit""")  # noqa: S608


class Sync(NamedTuple):
    conversation_id: int
    from_rev: int
    to_rev: int
    messages: Sequence[Any]
    members: Sequence[Any]
    limited: bool


async def batch_sync(connection: AsyncConnection, caller: Caller, points: Mapping[int, int]) -> list[Sync]:
    """What changed after a rev in each of the caller's conversations among those. Raises BatchTooLarge.

    The revs are read first: a row that changes after that comes by its event.
    """
    if len(points) > MAX_POINTS:
        raise BatchTooLarge
    member = ConversationMember
    query = select(Conversation.id, Conversation.rev, member.joined_seq, member.joined_rev).join(
        member, member.conversation_id == Conversation.id
    )
    query = query.where(member.user_id == caller.user_id, members.LIVE, Conversation.id.in_(list(points)))
    places = (await connection.execute(query)).all()
    values = {
        "ids": [place.id for place in places],
        "from_revs": [points[place.id] for place in places],
        "to_revs": [place.rev for place in places],
        "joined": [place.joined_seq for place in places],
        "joined_revs": [place.joined_rev for place in places],
    }
    changed = _by_conversation((await connection.execute(CHANGED, values)).all())
    moved = _by_conversation((await connection.execute(MEMBERS, values)).all())
    return [_sync(place, points[place.id], changed.get(place.id, []), moved.get(place.id, [])) for place in places]


def _by_conversation(rows: Sequence[Row[Any]]) -> dict[int, list[Row[Any]]]:
    found: dict[int, list[Row[Any]]] = {}
    for row in rows:
        found.setdefault(row.conversation_id, []).append(row)
    return found


def _sync(place: Any, from_rev: int, changed: Sequence[Any], moved: Sequence[Any]) -> Sync:
    # What he kept from before he was let in again is out of date in ways that no row of his tells.
    came_back = 0 < from_rev < place.joined_rev
    too_many = len(changed) + sum(row.rev > 0 for row in moved) > MAX_ROWS
    # Of a time that was undone, by restoring a backup: what he has of it never was.
    ahead = from_rev > place.rev
    limited = came_back or ahead or too_many or bool(changed and changed[-1].total > MAX_ANSWER)
    rows = ((), ()) if limited else (changed, moved)
    return Sync(place.id, from_rev, place.rev, *rows, limited)


async def get_history(
    connection: AsyncConnection, caller: Caller, conversation_id: int, before_seq: int, limit: int
) -> tuple[Sequence[Any], int]:
    """Newest first, and the rev of the conversation. A page of large messages is shorter than was asked for.

    Raises ConversationNotFound.
    """
    place = await members.require_member(connection, caller, conversation_id)
    before = before_seq if before_seq > 0 else place.last_seq + 1
    values = {"id": conversation_id, "before": before, "joined_seq": place.joined_seq}
    values["limit"] = min(max(limit, 1), MAX_PAGE)
    rows = (await connection.execute(HISTORY, values)).all()
    return rows[: fitting(rows)], place.rev


def fitting(rows: Sequence[Any]) -> int:
    """How many of these messages one answer can hold."""
    total = 0
    for count, row in enumerate(rows):
        total += row.size
        if total > MAX_ANSWER:
            return count
    return len(rows)


async def get_revs(connection: AsyncConnection, conversation_ids: Sequence[int]) -> Sequence[Row[int, int]]:
    """Raises BatchTooLarge."""
    if len(conversation_ids) > MAX_REVS:
        raise BatchTooLarge
    query = select(Conversation.id, Conversation.rev).where(Conversation.id.in_(conversation_ids))
    return (await connection.execute(query)).all()
