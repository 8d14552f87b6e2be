"""The transaction that writes reactions: those of many users at once, with three statements.

It first locks the conversations' rows, in the order of their ids, as the writing of messages does. What changes of one
message in a transaction shares a rev and a frame.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from services.chat.errors import (
    AnswerAwaited,
    ConversationNotFound,
    MessageNotFound,
    ReactionLimitReached,
    RequestUnanswered,
)
from services.chat.membership import members
from services.chat.messages import MessageKey
from services.chat.models import NO_REQUEST, WAITING
from services.chat.notifications import rules
from services.chat.notifications.notifications import NewNotification
from services.chat.notifications.writing import notify
from services.chat.parameters import int_array, json_rows
from services.chat.push import frames, outbox
from services.chat.push.outbox import Publisher
from services.chat.reactions.tally import Tally
from services.kit.errors import HitokError
from services.kit.ids import IdGenerator
from services.kit.sql.connection import AsyncConnection
from services.kit.sql.statements import Statement

MAX_EMOJI = 20  # different ones of a message

FIND: Statement[Any] = Statement("""SELECT mine.live, mine.joined_seq, mine.request, message.id AS message_id,
  message.sender_id, message.recalled_at, summary.rev, summary.counts, held.emoji AS held, sender.hears
 FROM ROWS FROM (jsonb_to_recordset(CAST(:asked AS jsonb)) AS (conversation bigint, seq bigint, user_id bigint))
  WITH ORDINALITY AS asked(conversation, seq, user_id, place)
 LEFT JOIN LATERAL (SELECT left_at IS NULL AS live, joined_seq, request FROM conversation_member
  WHERE conversation_id = asked.conversation AND user_id = asked.user_id LIMIT 1) AS mine ON true
 LEFT JOIN LATERAL (SELECT id, sender_id, recalled_at FROM message
  WHERE conversation_id = asked.conversation AND message.seq = asked.seq LIMIT 1) AS message ON true
 LEFT JOIN LATERAL (SELECT rev, counts FROM reaction_summary
  WHERE conversation_id = asked.conversation AND reaction_summary.seq = asked.seq LIMIT 1) AS summary ON true
 LEFT JOIN LATERAL (SELECT array_agg(emoji) AS emoji FROM reaction WHERE conversation_id = asked.conversation
  AND reaction.seq = asked.seq AND reaction.user_id = asked.user_id) AS held ON true
 LEFT JOIN LATERAL (SELECT left_at IS NULL AND NOT (muted AND coalesce(muted_until > now(), true)) AS hears
  FROM conversation_member WHERE conversation_id = asked.conversation AND user_id = message.sender_id LIMIT 1
 ) AS sender ON true
 ORDER BY asked.place""")
ROWS = "jsonb_to_recordset(CAST(:{name} AS jsonb)) AS t(conversation bigint, seq bigint, {more})"
WRITE: Statement[Any] = Statement(f"""WITH removed AS (
 DELETE FROM reaction USING {ROWS.format(name="removed", more="user_id bigint, emoji text")}
 WHERE reaction.conversation_id = t.conversation AND reaction.seq = t.seq AND reaction.user_id = t.user_id
  AND reaction.emoji = t.emoji
), added AS (
 INSERT INTO reaction (conversation_id, seq, user_id, emoji)
 SELECT conversation, seq, user_id, emoji FROM {ROWS.format(name="added", more="user_id bigint, emoji text")}
), summed AS (
 INSERT INTO reaction_summary (conversation_id, seq, rev, counts)
 SELECT conversation, seq, rev, counts FROM {ROWS.format(name="summaries", more="rev bigint, counts jsonb")}
 ON CONFLICT (conversation_id, seq) DO UPDATE SET rev = excluded.rev, counts = excluded.counts
), counted AS (
 UPDATE conversation SET rev = t.rev FROM unnest(CAST(:touched AS bigint[]), CAST(:revs AS bigint[])) AS t(id, rev)
 WHERE conversation.id = t.id
) {outbox.STORE}""")  # noqa: S608


class Change(NamedTuple):
    user_id: int
    key: MessageKey
    emoji: str
    reacted: bool


class Reacted(NamedTuple):
    """The message's reactions after the change, as its user sees them."""

    tally: Tally
    user_id: int


async def write(
    connection: AsyncConnection, publisher: Publisher, new_id: IdGenerator, changes: Sequence[Change]
) -> list[Reacted | HitokError]:
    """The result of each: Reacted, or ConversationNotFound, MessageNotFound, AnswerAwaited, RequestUnanswered or
    ReactionLimitReached."""
    ids = sorted({change.key.conversation_id for change in changes})
    asked = [{"conversation": key.conversation_id, "seq": key.seq, "user_id": user} for user, key, *_ in changes]
    # One round trip, but in this order: the reactions are looked up once the conversations are locked.
    lock = members.LOCK.bind(ids=int_array(ids))
    locked, found = await connection.fetch_each(lock, FIND.bind(asked=json_rows(asked)))
    tallies = _tallies(changes, found)
    outcomes = [_apply(change, row, tallies) for change, row in zip(changes, found, strict=True)]
    changed = [tally for tally in tallies.values() if tally.added or tally.removed]
    if changed:
        revs = _give_revs(changed, {row.id: row.rev for row in locked})
        pushes = [frames.reactions_changed(tally) for tally in changed]
        stored = await connection.fetch(WRITE, **_values(changed, revs), **outbox.store_parameters(pushes))
        publisher.publish_after_commit(connection, [row.id for row in stored], pushes)
        await notify(connection, publisher, new_id, _told(changed))
    return outcomes


def _give_revs(changed: Sequence[Tally], revs: dict[int, int]) -> dict[int, int]:
    """Gives each the next rev of its conversation; returns the last one of each conversation."""
    for tally in changed:
        revs[tally.key.conversation_id] += 1
        tally.rev = revs[tally.key.conversation_id]
    return revs


def _tallies(changes: Sequence[Change], found: Sequence[Any]) -> dict[MessageKey, Tally]:
    tallies: dict[MessageKey, Tally] = {}
    for change, row in zip(changes, found, strict=True):
        tally = tallies.setdefault(change.key, Tally(change.key, row.rev or 0, row.counts or ()))
        tally.message = row
        tally.held[change.user_id] = set(row.held or ())
    return tallies


def _apply(change: Change, row: Any, tallies: dict[MessageKey, Tally]) -> Reacted | HitokError:
    refusal, tally = _refusal(row, change.key), tallies[change.key]
    if refusal:
        return refusal
    if change.reacted and change.emoji not in tally.counts and len(tally.counts) >= MAX_EMOJI:
        return ReactionLimitReached()
    tally.set(change.user_id, change.emoji, change.reacted)
    return Reacted(tally, change.user_id)


def _refusal(row: Any, key: MessageKey) -> HitokError | None:
    if not row.live:
        return ConversationNotFound()
    if row.message_id is None or row.recalled_at or key.seq <= row.joined_seq:
        return MessageNotFound()
    if row.request != NO_REQUEST:
        return AnswerAwaited() if row.request == WAITING else RequestUnanswered()
    return None


def _values(changed: Sequence[Tally], revs: dict[int, int]) -> dict[str, object]:
    touched = sorted({tally.key.conversation_id for tally in changed})
    summaries = (
        {"conversation": tally.key.conversation_id, "seq": tally.key.seq, "rev": tally.rev, "counts": tally.rows()}
        for tally in changed
    )
    return {
        "removed": json_rows([_row(tally.key, *pair) for tally in changed for pair in tally.removed]),
        "added": json_rows([_row(tally.key, *pair) for tally in changed for pair in tally.added]),
        "summaries": json_rows(list(summaries)),
        "touched": int_array(touched),
        "revs": int_array([revs[id] for id in touched]),
    }


def _row(key: MessageKey, user_id: int, emoji: str) -> dict[str, object]:
    return {"conversation": key.conversation_id, "seq": key.seq, "user_id": user_id, "emoji": emoji}


def _told(changed: Iterable[Tally]) -> Iterable[tuple[str, NewNotification]]:
    """For the sender of each message, unless they left or muted the conversation."""
    for tally in changed:
        if tally.message.hears:
            for user_id, emoji in tally.added:
                event = f"reaction:{tally.message.message_id}:{user_id}"
                yield event, rules.reaction(tally.key, tally.message, user_id, emoji)
