"""The transaction that writes messages: many messages of any conversations, with three statements.

It first locks the conversations' rows, in the order of their ids. The lock makes the order in which seq and rev are
given out the order in which they are committed, so there is never a gap.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from services.chat.errors import AnswerAwaited, ConversationNotFound, MessageInvalid, NotMember
from services.chat.membership import members, requests
from services.chat.messages import COLUMNS, StoredMessage
from services.chat.models import ASKED, DECLINED, WAITING
from services.chat.notifications import rules
from services.chat.notifications.notifications import NewNotification
from services.chat.notifications.writing import notify
from services.chat.parameters import int_array, json_rows
from services.chat.push import frames, outbox
from services.chat.push.frames import Push
from services.chat.push.outbox import Publisher
from services.chat.sending.content import Content
from services.kit.db import Database
from services.kit.ids import IdGenerator
from services.kit.sql.connection import AsyncConnection
from services.kit.sql.statements import Statement


class Outgoing(NamedTuple):
    conversation_id: int
    sender_id: int
    content: Content
    trace: str = ""  # the span of the request


class Sent(NamedTuple):
    message: Any
    duplicate: bool


class MembershipUnconfirmed(Exception):
    """The social service lets the sender write, but they are not a member here.

    `event_id` is the last event applied to their row here; None if there is no row.
    """

    def __init__(self, event_id: int | None) -> None:
        super().__init__()
        self.event_id = event_id


# Lateral joins with a limit always use one index look-up each, whatever the planner thinks of the tables' sizes.
FIND: Statement[Any] = Statement(f"""SELECT mine.event_id, mine.live, mine.request, message.*
 FROM ROWS FROM (jsonb_to_recordset(CAST(:asked AS jsonb)) AS (conversation bigint, sender bigint, key uuid))
  WITH ORDINALITY AS asked(conversation, sender, key, place)
 LEFT JOIN LATERAL (SELECT event_id, left_at IS NULL AS live, request FROM conversation_member
  WHERE conversation_id = asked.conversation AND user_id = asked.sender LIMIT 1) AS mine ON true
 LEFT JOIN LATERAL (SELECT {COLUMNS} FROM message
  WHERE conversation_id = asked.conversation AND sender_id = asked.sender AND client_msg_id = asked.key LIMIT 1
 ) AS message ON true
 ORDER BY asked.place""")  # noqa: S608
WRITE: Statement[Any] = Statement(f"""WITH written AS (
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


class LockedConversation:
    """A conversation whose row is locked, with the rev and seq that this transaction leaves it with."""

    def __init__(self, row: Any) -> None:
        self.id, self.rev, self.last_seq, self.dismissed = row.id, row.rev, row.last_seq, bool(row.dismissed_at)


async def write(
    database: Database, publisher: Publisher, new_id: IdGenerator, sends: Sequence[Outgoing]
) -> list[Sent | Exception]:
    """The result of each: Sent, or MembershipUnconfirmed, ConversationNotFound, NotMember, AnswerAwaited or
    MessageInvalid."""
    now = datetime.now(UTC)
    now = now.replace(microsecond=now.microsecond // 1000 * 1000)
    async with database.transaction() as connection:
        ids = sorted({send.conversation_id for send in sends})
        # One round trip, but in this order: the messages are looked up once the conversations are locked.
        lock = members.LOCK.bind(ids=int_array(ids))
        locked, found = await connection.fetch_each(lock, FIND.bind(asked=_asked(sends)))
        conversations = {row.id: LockedConversation(row) for row in locked}
        outcomes = _plan(sends, conversations, found, now, new_id)
        fresh = [
            (send, outcome.message)
            for send, outcome in zip(sends, outcomes, strict=True)
            if isinstance(outcome, Sent) and not outcome.duplicate
        ]
        if fresh:
            pushes = [frames.message_sent(message, send.trace) for send, message in fresh]
            ids = await _insert(connection, fresh, conversations, pushes, now)
            publisher.publish_after_commit(connection, ids, pushes)
        answered = dict.fromkeys(
            (outcome.message.conversation_id, outcome.message.sender_id)
            for outcome, row in zip(outcomes, found, strict=True)
            if isinstance(outcome, Sent) and not outcome.duplicate and row.request in (ASKED, DECLINED)
        )
        await publisher.store_for_relay(connection, await requests.open_answered(connection, list(answered)))
        await _notify_mentioned(connection, publisher, new_id, [message for _, message in fresh])
    return outcomes


async def find_sent(connection: AsyncConnection, sends: Sequence[Outgoing]) -> Sequence[Any]:
    """Each sender's membership, and their message with that client_msg_id, if it was stored."""
    return await connection.fetch(FIND, asked=_asked(sends))


def _asked(sends: Sequence[Outgoing]) -> str:
    asked = ({"conversation": to, "sender": sender, "key": content.client_msg_id} for to, sender, content, _ in sends)
    return json_rows(list(asked))


def _plan(
    sends: Sequence[Outgoing],
    conversations: dict[int, LockedConversation],
    found: Sequence[Any],
    now: datetime,
    new_id: IdGenerator,
) -> list[Sent | Exception]:
    """Gives out seq and rev, in the order of arrival, and returns the result of each."""
    written: dict[tuple[int, int, Any], StoredMessage] = {}
    outcomes: list[Sent | Exception] = []
    for send, row in zip(sends, found, strict=True):
        conversation = conversations.get(send.conversation_id)
        key = (*send[:2], send.content.client_msg_id)
        refusal = _refusal(conversation, row)
        if refusal or conversation is None:
            outcomes.append(refusal or ConversationNotFound())
        elif row.seq is not None or key in written:
            outcomes.append(Sent(written.get(key, row), duplicate=True))
        elif row.request == WAITING and conversation.last_seq >= requests.MAX_WAITING:
            outcomes.append(AnswerAwaited())
        elif send.content.reply_to_seq > conversation.last_seq:
            outcomes.append(MessageInvalid("reply_to_seq"))
        else:
            conversation.rev, conversation.last_seq = conversation.rev + 1, conversation.last_seq + 1
            written[key] = _stored(send, conversation, now, new_id())
            outcomes.append(Sent(written[key], duplicate=False))
    return outcomes


def _refusal(conversation: LockedConversation | None, row: Any) -> Exception | None:
    if conversation is None:
        return ConversationNotFound()
    if conversation.dismissed:
        return NotMember()
    return None if row.live else MembershipUnconfirmed(row.event_id)


def _stored(send: Outgoing, conversation: LockedConversation, now: datetime, id: int) -> StoredMessage:
    content = send.content
    return StoredMessage(
        conversation_id=conversation.id,
        rev=conversation.rev,
        seq=conversation.last_seq,
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
    conversations: dict[int, LockedConversation],
    pushes: Sequence[Push],
    now: datetime,
) -> list[int]:
    """The ids of the pushes."""
    messages = [message for _, message in fresh]
    touched = [conversations[id] for id in sorted({message.conversation_id for message in messages})]
    written = [_row(message, send.content.body.words) for send, message in fresh]
    values: dict[str, object] = {
        "now": now,
        "messages": json_rows(written),
        "touched": int_array([each.id for each in touched]),
        "last_seqs": int_array([each.last_seq for each in touched]),
        "last_revs": int_array([each.rev for each in touched]),
        **outbox.store_parameters(pushes),
    }
    return [row.id for row in await connection.fetch(WRITE, **values)]


def _row(message: StoredMessage, words: str) -> dict[str, object]:
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


async def _notify_mentioned(
    connection: AsyncConnection, publisher: Publisher, new_id: IdGenerator, messages: Sequence[Any]
) -> None:
    """Notifies the users that a message mentions, if they are members."""
    told: list[tuple[str, NewNotification]] = []
    for message in messages:
        if message.mentions:
            user_ids = await members.current_among(connection, message.conversation_id, message.mentions)
            told += [(f"message:{message.id}", rules.mention(message, user_id)) for user_id in sorted(user_ids)]
    await notify(connection, publisher, new_id, told)
