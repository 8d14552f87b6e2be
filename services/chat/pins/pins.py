"""Messages that are pinned for all members of a conversation."""

from collections.abc import Sequence
from typing import Any

from services.chat.errors import AnswerAwaited, MessageNotFound, PinnedLimitReached, RequestUnanswered
from services.chat.membership import members
from services.chat.messages import COLUMNS, MessageKey
from services.chat.models import NO_REQUEST, WAITING
from services.chat.parameters import int_array
from services.chat.push import frames
from services.chat.push.outbox import Publisher
from services.kit.context import Caller
from services.kit.sql.connection import AsyncConnection
from services.kit.sql.statements import Bound, Statement

MAX_PINNED = 50  # messages of a conversation

FIND: Statement[Any] = Statement("""SELECT message.recalled_at, pin.seq IS NOT NULL AS pinned,
  (SELECT request FROM conversation_member WHERE conversation_id = :id AND user_id = :user_id) AS request,
  (SELECT count(*) FROM pinned_message WHERE conversation_id = :id) AS count
 FROM message LEFT JOIN pinned_message AS pin USING (conversation_id, seq)
 WHERE message.conversation_id = :id AND message.seq = :seq""")
PINNED = "conversation_id, seq, pinned_by, pinned_at"
BUMP = "bumped AS (UPDATE conversation SET rev = rev + 1, pins_rev = rev + 1 WHERE id = :id RETURNING rev)"
PIN: Statement[Any] = Statement(f"""WITH {BUMP}, changed AS (
 INSERT INTO pinned_message (conversation_id, seq, pinned_by, pinned_at)
  VALUES (:id, :seq, :user_id, date_trunc('milliseconds', now())) RETURNING {PINNED})
 SELECT changed.*, bumped.rev FROM changed, bumped""")  # noqa: S608
UNPIN: Statement[Any] = Statement(f"""WITH {BUMP}, changed AS (
 DELETE FROM pinned_message WHERE conversation_id = :id AND seq = :seq RETURNING {PINNED})
 SELECT changed.*, bumped.rev FROM changed, bumped""")  # noqa: S608
# By the rev of the recall, so that syncs bring it.
FORGET: Statement[Any] = Statement("""WITH gone AS (
 DELETE FROM pinned_message USING unnest(CAST(:conversations AS bigint[]), CAST(:seqs AS bigint[])) AS one(id, seq)
 WHERE conversation_id = one.id AND pinned_message.seq = one.seq RETURNING conversation_id)
 UPDATE conversation SET pins_rev = rev FROM (SELECT DISTINCT conversation_id FROM gone) AS gone
 WHERE conversation.id = gone.conversation_id""")
OF: Statement[Any] = Statement(f"""SELECT pin.* FROM unnest(CAST(:ids AS bigint[]), CAST(:joined AS bigint[]))
  WITH ORDINALITY AS one(id, joined_seq, place)
 CROSS JOIN LATERAL (SELECT {PINNED} FROM pinned_message
  WHERE conversation_id = one.id AND seq > one.joined_seq) AS pin
 ORDER BY place, pin.pinned_at DESC, pin.seq DESC""")  # noqa: S608
MESSAGES: Statement[Any] = Statement(f"""SELECT {COLUMNS} FROM message
 WHERE conversation_id = :id AND seq = ANY(CAST(:seqs AS bigint[]))""")  # noqa: S608


async def pin(connection: AsyncConnection, publisher: Publisher, caller: Caller, key: MessageKey, pinned: bool) -> int:
    """The rev of the last change of the conversation's pins.

    Raises ConversationNotFound, MessageNotFound, AnswerAwaited, RequestUnanswered, PinnedLimitReached.
    """
    membership = await members.require_member(connection, caller, key.conversation_id, lock=True)
    of = {"id": key.conversation_id, "seq": key.seq}
    found = await connection.fetch_one(FIND, **of, user_id=caller.user_id)
    if found is None or found.recalled_at or key.seq <= membership.joined_seq:
        raise MessageNotFound
    if found.request != NO_REQUEST:
        raise AnswerAwaited if found.request == WAITING else RequestUnanswered
    if found.pinned == pinned:
        return int(membership.pins_rev)
    if pinned and found.count >= MAX_PINNED:
        raise PinnedLimitReached
    (row,) = await (connection.fetch(PIN, **of, user_id=caller.user_id) if pinned else connection.fetch(UNPIN, **of))
    await publisher.store(connection, [frames.message_pinned(row, caller.user_id, pinned)])
    return int(row.rev)


async def list_pinned(
    connection: AsyncConnection, caller: Caller, conversation_id: int
) -> tuple[int, Sequence[Any], Sequence[Any]]:
    """The rev of the pins' last change, the pins, the last first, and their messages. Raises ConversationNotFound."""
    membership = await members.require_member(connection, caller, conversation_id)
    (pins,) = await connection.fetch_each(of_conversations([(conversation_id, membership.joined_seq)]))
    seqs = int_array([row.seq for row in pins])
    found = {row.seq: row for row in await connection.fetch(MESSAGES, id=conversation_id, seqs=seqs)}
    return membership.pins_rev, pins, [found[row.seq] for row in pins]


def of_conversations(joined: Sequence[tuple[int, int]]) -> Bound:
    """Finds the pins in each conversation after the seq at which the viewer joined."""
    return OF.bind(ids=int_array([id for id, _ in joined]), joined=int_array([seq for _, seq in joined]))


async def forget(connection: AsyncConnection, keys: Sequence[MessageKey]) -> None:
    """Unpins recalled messages of locked conversations. Clients learn it by the recall."""
    conversations, seqs = [key.conversation_id for key in keys], [key.seq for key in keys]
    await connection.fetch(FORGET, conversations=int_array(conversations), seqs=int_array(seqs))
