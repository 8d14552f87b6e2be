"""Admits users to conversations of groups: those of one moment in one transaction, with one look and one write.

The social service says who is a member: by its answer (`admit`), or by its event (`apply_joins`).
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from services.chat.errors import ConversationNotFound, NotMember
from services.chat.models import Conversation, ConversationMember
from services.chat.parameters import int_array, json_rows
from services.chat.push import frames
from services.chat.push.frames import Push
from services.kit.sql.connection import AsyncConnection
from services.kit.sql.statements import Statement

# Named, since a statement that is prepared fails once a migration adds a column to its `*`.
CONVERSATION = ", ".join(Conversation.__table__.columns.keys())
MEMBER = ", ".join(f"mine.{name}" for name in ConversationMember.__table__.columns.keys())  # noqa: SIM118

LOCK: Statement[Any] = Statement(f"""SELECT {CONVERSATION} FROM conversation
 WHERE id = ANY(CAST(:ids AS bigint[])) ORDER BY id FOR UPDATE""")  # noqa: S608
LOCK_GROUPS: Statement[Any] = Statement(f"""SELECT {CONVERSATION} FROM conversation
 WHERE group_id = ANY(CAST(:ids AS bigint[])) ORDER BY id FOR UPDATE""")  # noqa: S608
# Lateral joins with a limit always use one index look-up each, whatever the planner thinks of the tables' sizes.
FIND: Statement[Any] = Statement("""SELECT mine.*
 FROM unnest(CAST(:conversations AS bigint[]), CAST(:users AS bigint[])) AS asked (conversation, member)
 CROSS JOIN LATERAL (SELECT conversation_id, user_id, event_id, left_at IS NULL AS present FROM conversation_member
  WHERE conversation_id = asked.conversation AND user_id = asked.member LIMIT 1) AS mine""")
FIND_IN_GROUPS: Statement[Any] = Statement("""SELECT asked.group_id, asked.user_id, conversation_id, mine.event_id
 FROM unnest(CAST(:groups AS bigint[]), CAST(:users AS bigint[])) AS asked (group_id, user_id)
 JOIN conversation ON conversation.group_id = asked.group_id
 CROSS JOIN LATERAL (SELECT conversation_id, event_id FROM conversation_member
  WHERE conversation_id = conversation.id AND user_id = asked.user_id LIMIT 1) AS mine""")
ADD: Statement[Any] = Statement(f"""WITH
 asked AS MATERIALIZED (SELECT * FROM jsonb_to_recordset(CAST(:added AS jsonb))
  AS row (conversation_id bigint, user_id bigint, event_id bigint, rev bigint, seq bigint)),
 counted AS (UPDATE conversation SET (rev, member_count) =
   (SELECT max(asked.rev), member_count + count(*) FROM asked WHERE conversation_id = conversation.id)
  WHERE id = ANY(ARRAY(SELECT conversation_id FROM asked)))
INSERT INTO conversation_member AS mine (conversation_id, user_id, event_id, rev, joined_rev, joined_seq, delivered_seq,
  read_seq) SELECT conversation_id, user_id, event_id, rev, rev, seq, seq, seq FROM asked
 ON CONFLICT (conversation_id, user_id) DO UPDATE SET event_id = excluded.event_id, rev = excluded.rev,
  joined_rev = excluded.joined_rev, joined_seq = excluded.joined_seq, delivered_seq = excluded.delivered_seq,
  read_seq = excluded.read_seq, left_seq = NULL, left_at = NULL, hidden_seq = NULL RETURNING {MEMBER}""")  # noqa: S608
RECORD: Statement[Any] = Statement("""WITH
 asked AS MATERIALIZED (SELECT * FROM jsonb_to_recordset(CAST(:events AS jsonb))
  AS row (conversation_id bigint, user_id bigint, event_id bigint)),
 told AS (UPDATE conversation SET event_id = greatest(event_id,
   (SELECT max(asked.event_id) FROM asked WHERE conversation_id = conversation.id))
  WHERE id = ANY(ARRAY(SELECT conversation_id FROM asked)))
UPDATE conversation_member AS mine SET event_id =
  (SELECT event_id FROM asked WHERE conversation_id = mine.conversation_id AND user_id = mine.user_id)
 WHERE ctid = ANY(ARRAY(SELECT found.ctid FROM asked CROSS JOIN LATERAL (SELECT ctid FROM conversation_member
  WHERE conversation_id = asked.conversation_id AND user_id = asked.user_id AND event_id < asked.event_id LIMIT 1
 ) AS found))""")


class Admission(NamedTuple):
    """Of a user of whom the social service said that they are a member of the conversation's group.

    `seen_event_id` is the user's event id here (None: no row) before the social service was asked. If it has changed
    since, the events are newer than that answer.
    """

    conversation_id: int
    user_id: int
    seen_event_id: int | None


class Joined(NamedTuple):
    """An event of the social service."""

    id: int
    group_id: int
    user_id: int
    group_name: str


async def find_members(connection: AsyncConnection, asked: Sequence[tuple[int, int]]) -> list[Any]:
    """The row of each (group, user), present or not: conversation_id, user_id, event_id; or None."""
    groups, users = (int_array(ids) for ids in zip(*asked, strict=True))
    rows = await connection.fetch(FIND_IN_GROUPS, groups=groups, users=users)
    found = {(row.group_id, row.user_id): row for row in rows}
    return [found.get(pair) for pair in asked]


async def admit(
    connection: AsyncConnection, asked: Sequence[Admission]
) -> tuple[list[NotMember | ConversationNotFound | None], list[Push]]:
    """Why each user is not admitted, if so, and what to push."""
    ids = int_array(sorted({each.conversation_id for each in asked}))
    # One round trip, but in this order: the members are looked up once the conversations are locked.
    locked, found = await connection.fetch_each(LOCK.bind(ids=ids), _find([each[:2] for each in asked]))
    batch = _Batch(locked, found)
    outcomes = [batch.admit(each) for each in asked]
    return outcomes, await batch.write(connection)


async def apply_joins(connection: AsyncConnection, events: Sequence[Joined]) -> tuple[set[int], list[Push]]:
    """Applies the events of groups of which nothing else changes, and returns these groups and what to push.

    Groups without a conversation, or with one that is dismissed or has another title, are left out.
    """
    locked = await connection.fetch(LOCK_GROUPS, ids=int_array(sorted({event.group_id for event in events})))
    names = {event.group_id: event.group_name for event in events}
    same = {row.group_id: row for row in locked if row.title == names[row.group_id] and not row.dismissed_at}
    pairs = [(same[event.group_id].id, event.user_id) for event in events if event.group_id in same]
    if not pairs:
        return set(), []
    (found,) = await connection.fetch_each(_find(pairs))
    batch = _Batch(list(same.values()), found)
    newest: dict[tuple[int, int], int] = {}
    for event in events:
        if event.group_id in same:
            pair = (same[event.group_id].id, event.user_id)
            newest[pair] = max(event.id, newest.get(pair, 0))
    for pair, event_id in newest.items():
        batch.apply(*pair, event_id)
    pushes = await batch.write(connection)
    told = [{"conversation_id": id, "user_id": user, "event_id": event} for (id, user), event in newest.items()]
    await connection.fetch(RECORD, events=json_rows(told))
    return set(same), pushes


def _find(pairs: Sequence[tuple[int, int]]) -> Any:
    conversations, users = (int_array(ids) for ids in zip(*pairs, strict=True))
    return FIND.bind(conversations=conversations, users=users)


class _Batch:
    """Locked conversations with some of their members, and who is to be added."""

    def __init__(self, locked: Sequence[Any], found: Sequence[Any]) -> None:
        self._conversations = {row.id: row for row in locked}
        self._members = {(row.conversation_id, row.user_id): (row.event_id, row.present) for row in found}
        self._added: list[Mapping[str, int]] = []
        self._after: dict[tuple[int, int], Any] = {}  # the conversation as each new member finds it

    def admit(self, asked: Admission) -> NotMember | ConversationNotFound | None:
        conversation = self._conversations.get(asked.conversation_id)
        event_id, present = self._members.get(asked[:2], (None, False))
        if conversation is None:
            return ConversationNotFound()
        if present:
            return None
        if conversation.dismissed_at or event_id != asked.seen_event_id:
            return NotMember()
        self._add(conversation, asked.user_id, asked.seen_event_id or 0)
        return None

    def apply(self, conversation_id: int, user_id: int, event_id: int) -> None:
        """Adds the user, unless they are there, or an event that is newer said something else."""
        last, present = self._members.get((conversation_id, user_id), (0, False))
        if not present and last <= event_id:
            self._add(self._conversations[conversation_id], user_id, event_id)

    def _add(self, conversation: Any, user_id: int, event_id: int) -> None:
        counted = {"rev": conversation.rev + 1, "member_count": conversation.member_count + 1}
        after = conversation._replace(**counted)
        key = (after.id, user_id)
        self._conversations[after.id] = self._after[key] = after
        self._members[key] = (event_id, True)
        row = {"conversation_id": after.id, "user_id": user_id, "event_id": event_id}
        self._added.append(row | {"rev": after.rev, "seq": after.last_seq})

    async def write(self, connection: AsyncConnection) -> list[Push]:
        if not self._added:
            return []
        members = await connection.fetch(ADD, added=json_rows(self._added))
        pushes: list[Push] = []
        for member in sorted(members, key=lambda row: row.rev):
            after = self._after[member.conversation_id, member.user_id]
            pushes += [frames.conversation_added(after, member), frames.member_changed(member)]
        return pushes
