"""Syncs: what changed since a client's rev. History: pages of older messages."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Row, select

from services.chat.apart import positions
from services.chat.membership import members
from services.chat.messages import COLUMNS
from services.chat.models import Conversation, ConversationMember
from services.chat.parameters import int_array
from services.chat.pins import pins
from services.chat.reactions import reading
from services.kit.context import Caller
from services.kit.pages import check_batch, clamp
from services.kit.sql.connection import AsyncConnection
from services.kit.sql.statements import Statement

MAX_POINTS, MAX_REVS = 200, 1_000
MAX_ROWS = 200  # further behind than this, a client pages back instead
MAX_PAGE = 100
MAX_ANSWER = 2 * 1024 * 1024  # bytes of bodies; gRPC takes 4 MiB

POINTS = """unnest(CAST(:ids AS bigint[]), CAST(:from_revs AS bigint[]), CAST(:to_revs AS bigint[]),
 CAST(:joined AS bigint[]), CAST(:joined_revs AS bigint[]))
 WITH ORDINALITY AS point(id, from_rev, to_rev, joined_seq, joined_rev, place)"""
# Bodies are left out once all of them together do not fit into an answer.
FITTING = COLUMNS.replace("message.body::text", f"CASE WHEN total <= {MAX_ANSWER} THEN body::text END")
CHANGED: Statement[Any] = Statement(f"""SELECT {FITTING}, total FROM (
 SELECT changed.*, place, sum(size + 200) OVER (ORDER BY place, rev) AS total FROM {POINTS} CROSS JOIN LATERAL (
  SELECT * FROM message WHERE conversation_id = point.id AND rev > point.from_rev AND rev <= point.to_rev
  AND seq > point.joined_seq ORDER BY rev LIMIT {MAX_ROWS + 1}) AS changed
 ) AS message ORDER BY place, rev""")  # noqa: S608
# Both members of a direct conversation always, because no rev tells that their receipts changed. Nobody who left
# before the caller joined.
MEMBERS: Statement[Any] = Statement(f"""SELECT {positions("changed")} FROM {POINTS} CROSS JOIN LATERAL (
 (SELECT * FROM conversation_member WHERE conversation_id = point.id AND rev > point.from_rev AND rev <= point.to_rev
  AND (left_at IS NULL OR rev > point.joined_rev) ORDER BY rev LIMIT {MAX_ROWS + 1})
 UNION (SELECT * FROM conversation_member WHERE conversation_id = point.id AND rev = 0 AND event_id = 0 LIMIT 2)
 ) AS changed ORDER BY place, rev, user_id""")  # noqa: S608
REACTIONS: Statement[Any] = Statement(f"""SELECT {reading.COLUMNS} FROM {POINTS} CROSS JOIN LATERAL (
  SELECT * FROM reaction_summary WHERE conversation_id = point.id AND rev > point.from_rev AND rev <= point.to_rev
  AND seq > point.joined_seq ORDER BY rev LIMIT {MAX_ROWS + 1}) AS summary ORDER BY place, summary.rev""")  # noqa: S608
HISTORY: Statement[Any] = Statement(f"""SELECT {COLUMNS} FROM message
 WHERE conversation_id = :id AND seq < :before AND seq > :joined_seq ORDER BY seq DESC LIMIT :limit""")  # noqa: S608


class Sync(NamedTuple):
    conversation_id: int
    from_rev: int
    to_rev: int
    messages: Sequence[Any]
    members: Sequence[Any]
    reactions: Sequence[Any]
    limited: bool
    pins_rev: int
    pins: Sequence[Any] | None


async def batch_sync(connection: AsyncConnection, caller: Caller, points: Mapping[int, int]) -> list[Sync]:
    """Returns the changes in the caller's conversations. `points`: the rev to begin after, by conversation id.

    Conversations of which the caller is not a member are left out. The revs are read first, so that a row which
    changes after that reaches the client by its event. Raises BatchTooLarge.
    """
    check_batch(list(points), MAX_POINTS)
    memberships = await _memberships(connection, caller, list(points))
    values = {
        "ids": int_array([each.id for each in memberships]),
        "from_revs": int_array([points[each.id] for each in memberships]),
        "to_revs": int_array([each.rev for each in memberships]),
        "joined": int_array([each.joined_seq for each in memberships]),
        "joined_revs": int_array([each.joined_rev for each in memberships]),
        "viewer": caller.user_id,
    }
    pinned = [(each.id, each.joined_seq) for each in memberships if each.pins_rev > points[each.id]]
    asked = [each.bind(**values) for each in (CHANGED, MEMBERS, REACTIONS)]
    read = await connection.fetch_each(*asked, *([pins.of_conversations(pinned)] if pinned else []))
    found = [_by_conversation(rows) for rows in read]
    synced = [_sync(each, points[each.id], *(rows.get(each.id, []) for rows in found[:3])) for each in memberships]
    return [
        each._replace(pins=found[3].get(each.conversation_id, [])) if _pins_changed(each) else each for each in synced
    ]


def _pins_changed(sync: Sync) -> bool:
    return not sync.limited and sync.pins_rev > sync.from_rev


async def _memberships(connection: AsyncConnection, caller: Caller, conversation_ids: list[int]) -> Sequence[Any]:
    member = ConversationMember
    query = select(Conversation.id, Conversation.rev, Conversation.pins_rev, member.joined_seq, member.joined_rev)
    query = query.join(member, member.conversation_id == Conversation.id)
    query = query.where(member.user_id == caller.user_id, members.CURRENT, Conversation.id.in_(conversation_ids))
    return (await connection.execute(query)).all()


def _by_conversation(rows: Sequence[Any]) -> dict[int, list[Any]]:
    found: dict[int, list[Any]] = {}
    for row in rows:
        found.setdefault(row.conversation_id, []).append(row)
    return found


def _sync(membership: Any, from_rev: int, changed: Sequence[Any], moved: Sequence[Any], reacted: Sequence[Any]) -> Sync:
    # What a member cached before they left and joined again is out of date in ways that no row tells.
    came_back = 0 < from_rev < membership.joined_rev
    too_many = len(changed) + sum(row.rev > 0 for row in moved) + len(reacted) > MAX_ROWS
    # A backup was restored: what the client cached after it never happened.
    ahead = from_rev > membership.rev
    limited = came_back or ahead or too_many or bool(changed and changed[-1].total > MAX_ANSWER)
    rows = ((), (), ()) if limited else (changed, moved, reacted)
    return Sync(membership.id, from_rev, membership.rev, *rows, limited, membership.pins_rev, None)


async def get_history(
    connection: AsyncConnection, caller: Caller, conversation_id: int, before_seq: int, limit: int
) -> tuple[Sequence[Any], Mapping[int, Any], int]:
    """The messages, newest first, the reactions to them by seq, and the conversation's rev. A page of large messages is
    shorter than `limit`.

    Raises ConversationNotFound.
    """
    membership = await members.require_member(connection, caller, conversation_id)
    before = before_seq if before_seq > 0 else membership.last_seq + 1
    values = {"id": conversation_id, "before": before, "joined_seq": membership.joined_seq}
    values["limit"] = clamp(limit, MAX_PAGE)
    rows = await connection.fetch(HISTORY, **values)
    page = rows[: fitting(rows)]
    if not page:
        return (), {}, membership.rev
    reacted = await connection.fetch_each(reading.of_page(caller, conversation_id, page[-1].seq, page[0].seq))
    return page, reading.by_seq(reacted[0]), membership.rev


def fitting(rows: Sequence[Any]) -> int:
    """How many of these messages fit into one answer, from the first on."""
    total = 0
    for count, row in enumerate(rows):
        total += row.size
        if total > MAX_ANSWER:
            return count
    return len(rows)


async def get_revs(connection: AsyncConnection, conversation_ids: Sequence[int]) -> Sequence[Row[int, int]]:
    """The id and the rev of each. Raises BatchTooLarge."""
    check_batch(conversation_ids, MAX_REVS)
    query = select(Conversation.id, Conversation.rev).where(Conversation.id.in_(conversation_ids))
    return (await connection.execute(query)).all()
