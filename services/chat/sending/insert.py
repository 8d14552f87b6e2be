"""The transaction that writes messages: many, of any conversations, in three statements.

The conversations' rows are locked first, in the order of their ids. That lock makes the order in which seq and rev
are given the order in which they are committed, so there is never a gap.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from sqlalchemy.ext.asyncio import AsyncConnection

from services.chat.errors import ConversationNotFound, MessageInvalid, NotMember
from services.chat.membership import members
from services.chat.messages import COLUMNS, Stored
from services.chat.notifications import notifications, rules
from services.chat.pipeline import Statement, fetch, numbers, rows
from services.chat.push import frames, outbox
from services.chat.push.frames import Push
from services.chat.push.outbox import GRACE, Publisher
from services.chat.sending.content import Content
from services.kit.db import Database
from services.kit.ids import IdGenerator


class Outgoing(NamedTuple):
    conversation_id: int
    sender_id: int
    content: Content
    trace: str = ""  # the span of the request


class Sent(NamedTuple):
    message: Any
    duplicate: bool


class Doubt(Exception):
    """The social service lets the sender write, but he is no member here. His row stands on that event, if any."""

    def __init__(self, event_id: int | None) -> None:
        super().__init__()
        self.event_id = event_id


LOCK = Statement("""SELECT id, rev, last_seq, dismissed_at FROM conversation
 WHERE id = ANY(CAST(:ids AS bigint[])) ORDER BY id FOR UPDATE""")
# Laterals with a limit: always one look into each index, whatever the planner thinks of the tables' sizes.
FIND = Statement(f"""SELECT mine.event_id, mine.live, message.*
 FROM ROWS FROM (jsonb_to_recordset(CAST(:asked AS jsonb)) AS (conversation bigint, sender bigint, key uuid))
  WITH ORDINALITY AS asked(conversation, sender, key, place)
 LEFT JOIN LATERAL (SELECT event_id, left_at IS NULL AS live FROM conversation_member
  WHERE conversation_id = asked.conversation AND user_id = asked.sender LIMIT 1) AS mine ON true
 LEFT JOIN LATERAL (SELECT {COLUMNS} FROM message
  WHERE conversation_id = asked.conversation AND sender_id = asked.sender AND client_msg_id = asked.key LIMIT 1
 ) AS message ON true
 ORDER BY asked.place""")  # noqa: S608
WRITE = Statement(f"""WITH written AS (
 INSERT INTO message (conversation_id, seq, rev, id, sender_id, client_msg_id, content_type, body, size,
  reply_to_seq, mentions, words, created_at)
 SELECT conversation, seq, rev, id, sender, key, kind, CAST(body AS jsonb), size, reply, mentions,
  array_to_tsvector(string_to_array(words, ' ')), :now
 FROM jsonb_to_recordset(CAST(:messages AS jsonb)) AS t(conversation bigint, seq bigint, rev bigint, id bigint,
  sender bigint, key uuid, kind text, body text, size int, reply bigint, mentions bigint[], words text)
), counted AS (
 UPDATE conversation SET last_seq = t.seq, rev = t.rev, active_at = :now
 FROM unnest(CAST(:touched AS bigint[]), CAST(:last_seqs AS bigint[]), CAST(:last_revs AS bigint[])) AS t(id, seq, rev)
 WHERE conversation.id = t.id
) {outbox.STORE}""")  # noqa: S608


class _Place:
    """A locked conversation, as it will be."""

    def __init__(self, row: Any) -> None:
        self.id, self.rev, self.last_seq, self.dismissed = row.id, row.rev, row.last_seq, bool(row.dismissed_at)


async def write(
    database: Database, publisher: Publisher, new_id: IdGenerator, sends: Sequence[Outgoing]
) -> list[Sent | Exception]:
    """What became of each: it was written, or had been before; or Doubt, NotMember, MessageInvalid, …"""
    now = datetime.now(UTC)
    now = now.replace(microsecond=now.microsecond // 1000 * 1000)
    async with database.transaction() as connection:
        ids = sorted({send.conversation_id for send in sends})
        # Together, but one after the other: what is found is as it is once the conversations are locked.
        locked, found = await fetch(connection, (LOCK, {"ids": numbers(ids)}), (FIND, _asked(sends)))
        places = {row.id: _Place(row) for row in locked}
        outcomes = _plan(sends, places, found, now, new_id)
        fresh = [
            (send, outcome.message)
            for send, outcome in zip(sends, outcomes, strict=True)
            if isinstance(outcome, Sent) and not outcome.duplicate
        ]
        made = [frames.message_sent(message, send.trace) for send, message in fresh]
        stored = await _insert(connection, fresh, places, made, now) if fresh else []
        await _tell_mentioned(connection, publisher, new_id, [message for _, message in fresh])
    publisher.put(stored, made)
    return outcomes


async def find_sent(connection: AsyncConnection, sends: Sequence[Outgoing]) -> Sequence[Any]:
    """Each sender's membership, and his message with that client_msg_id."""
    (found,) = await fetch(connection, (FIND, _asked(sends)))
    return found


def _asked(sends: Sequence[Outgoing]) -> dict[str, str]:
    asked = ({"conversation": to, "sender": sender, "key": content.client_msg_id} for to, sender, content, _ in sends)
    return {"asked": rows(list(asked))}


def _plan(
    sends: Sequence[Outgoing],
    places: dict[int, _Place],
    found: Sequence[Any],
    now: datetime,
    new_id: IdGenerator,
) -> list[Sent | Exception]:
    """Gives seq and rev in the order of arrival."""
    written: dict[tuple[int, int, Any], Stored] = {}
    outcomes: list[Sent | Exception] = []
    for send, row in zip(sends, found, strict=True):
        place, key = places.get(send.conversation_id), (*send[:2], send.content.client_msg_id)
        refusal = _refusal(send, place, row)
        if refusal or place is None:
            outcomes.append(refusal or ConversationNotFound())
        elif row.seq is not None or key in written:
            outcomes.append(Sent(written.get(key, row), duplicate=True))
        elif send.content.reply_to_seq > place.last_seq:
            outcomes.append(MessageInvalid("reply_to_seq"))
        else:
            place.rev, place.last_seq = place.rev + 1, place.last_seq + 1
            written[key] = _stored(send, place, now, new_id())
            outcomes.append(Sent(written[key], duplicate=False))
    return outcomes


def _refusal(send: Outgoing, place: _Place | None, row: Any) -> Exception | None:
    if place is None:
        return ConversationNotFound()
    if place.dismissed:
        return NotMember()
    return None if row.live else Doubt(row.event_id)


def _stored(send: Outgoing, place: _Place, now: datetime, id: int) -> Stored:
    content = send.content
    return Stored(
        conversation_id=place.id,
        rev=place.rev,
        seq=place.last_seq,
        id=id,
        sender_id=send.sender_id,
        client_msg_id=content.client_msg_id,
        content_type=content.content_type,
        body=content.body.text,
        reply_to_seq=content.reply_to_seq,
        mentions=list(content.mentions),
        created_at=now,
        edited_at=None,
        recalled_at=None,
        size=content.body.size,
    )


async def _insert(
    connection: AsyncConnection,
    fresh: Sequence[tuple[Outgoing, Any]],
    places: dict[int, _Place],
    made: Sequence[Push],
    now: datetime,
) -> list[int]:
    """The ids of the pushes."""
    messages = [message for _, message in fresh]
    touched = [places[id] for id in sorted({message.conversation_id for message in messages})]
    written = [_row(message, send.content.body.words) for send, message in fresh]
    values = {
        "now": now,
        "messages": rows(written),
        "touched": numbers([place.id for place in touched]),
        "last_seqs": numbers([place.last_seq for place in touched]),
        "last_revs": numbers([place.rev for place in touched]),
        "grace": GRACE,
        **outbox.columns(made),
    }
    (stored,) = await fetch(connection, (WRITE, values))
    return [row.id for row in stored]


def _row(message: Stored, words: str) -> dict[str, object]:
    return {
        "conversation": message.conversation_id,
        "seq": message.seq,
        "rev": message.rev,
        "id": message.id,
        "sender": message.sender_id,
        "key": message.client_msg_id,
        "kind": message.content_type,
        "body": message.body,
        "size": message.size,
        "reply": message.reply_to_seq,
        "mentions": message.mentions,
        "words": words,
    }


async def _tell_mentioned(
    connection: AsyncConnection, publisher: Publisher, new_id: IdGenerator, messages: Sequence[Any]
) -> None:
    """The members among those whom a message names."""
    made: list[Push] = []
    for message in messages:
        if message.mentions:
            user_ids = await members.live_among(connection, message.conversation_id, message.mentions)
            told = [rules.mention_of(message, user_id) for user_id in sorted(user_ids)]
            made += await notifications.add(connection, new_id, f"message:{message.id}", told)
    if made:
        await members.save(connection, made)
        publisher.wake()
