"""Looks at conversations with new messages, and decides which devices of which members are pushed to.

Each message is looked at once, in the transaction that writes the pushes about it: a device hears of it once.
"""

from typing import Any

from services.kit.db import Database
from services.kit.sql.statements import Statement

BATCH = 50  # conversations
MAX_MESSAGES = 100  # of a conversation, told by one push

# Whether a member hears of a conversation: not of a request that they have not answered, nor of a muted one.
HEARS = """mine.left_at IS NULL AND mine.request = 0
 AND NOT (mine.muted AND (mine.muted_until IS NULL OR mine.muted_until > now()))"""
# Which messages count for them: by others, not recalled, and not by users whom they muted or whom a block parts.
COUNTS = """message.sender_id <> mine.user_id AND message.recalled_at IS NULL
 AND NOT EXISTS (SELECT FROM mute WHERE mute.muted AND mute.user_id = mine.user_id
  AND mute.muted_id = message.sender_id)
 AND NOT EXISTS (SELECT FROM block WHERE block.blocked AND (block.user_id, block.blocked_id)
  IN ((mine.user_id, message.sender_id), (message.sender_id, mine.user_id)))"""
# Up to where one of the member's devices has them.
KNOWN = "greatest(mine.read_seq, mine.delivered_seq, mine.joined_seq)"

# The second half of the delay is for acknowledgements; the worker looks at them once more before it sends.
LOOK: Statement[Any] = Statement(f"""WITH due AS (
 SELECT conversation_id, seen_seq FROM away_conversation WHERE due_at <= now()
 ORDER BY due_at LIMIT :batch FOR UPDATE SKIP LOCKED),
 planned AS (
  INSERT INTO away_push AS waiting (device_id, user_id, topic, conversation_id, first_seq, last_seq, due_at)
  SELECT device.id, device.user_id, 'c' || due.conversation_id, due.conversation_id, found.first, found.last,
   now() + make_interval(secs => :wait)
  FROM due JOIN conversation ON conversation.id = due.conversation_id
  JOIN conversation_member AS mine ON mine.conversation_id = due.conversation_id
  JOIN push_device AS device ON device.user_id = mine.user_id
  LEFT JOIN push_setting AS setting ON setting.user_id = mine.user_id
  CROSS JOIN LATERAL (SELECT min(seq) AS first, max(seq) AS last FROM message
   WHERE message.conversation_id = due.conversation_id
   AND message.created_at >= date_trunc('milliseconds', device.created_at)
   AND seq > greatest(due.seen_seq, {KNOWN}, conversation.last_seq - {MAX_MESSAGES}) AND {COUNTS}) AS found
  WHERE found.first IS NOT NULL AND {HEARS} AND NOT ('message' = ANY(coalesce(setting.muted_kinds, '{{}}')))
  ON CONFLICT (device_id, topic) WHERE NOT sending AND done_at IS NULL
   DO UPDATE SET last_seq = greatest(waiting.last_seq, excluded.last_seq))
UPDATE away_conversation SET seen_seq = conversation.last_seq, due_at = NULL
 FROM due JOIN conversation ON conversation.id = due.conversation_id
 WHERE away_conversation.conversation_id = due.conversation_id RETURNING due.conversation_id""")  # noqa: S608


async def look(database: Database, wait: float) -> int:
    """At a batch of those that are due. Returns how many they were. `wait`: seconds until the pushes are due."""
    async with database.reading() as connection:
        return len(await connection.fetch(LOOK, batch=BATCH, wait=wait))
