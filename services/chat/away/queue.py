"""The pushes that wait: which are due, what they would tell now, and what became of them."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import text

from services.chat.away.planning import COUNTS, HEARS, KNOWN
from services.chat.parameters import int_array, json_rows
from services.kit.db import Database
from services.kit.sql.statements import Statement

BATCH = 32
LEASE = 60.0  # seconds for which a worker has a push; longer than any request takes
KEPT = 24 * 3_600.0  # seconds for which a sent notification is remembered
MAX_BADGE = 999

STATE: Statement[Any] = Statement("""SELECT EXISTS (SELECT FROM push_device) AS has_devices,
 (SELECT CAST(extract(epoch FROM min(due_at) - now()) AS float8) FROM away_conversation
  WHERE due_at IS NOT NULL) AS look_in,
 (SELECT CAST(extract(epoch FROM min(due_at) - now()) AS float8) FROM away_push
  WHERE done_at IS NULL AND NOT sending) AS send_in,
 (SELECT count(*) FROM (SELECT FROM away_push WHERE done_at IS NULL LIMIT 10000) AS unsent) AS waiting""")
# A push that its worker neither finished nor gave back may have been sent.
FORGET = text("""WITH lost AS (SELECT id FROM away_push WHERE sending AND due_at <= now() AND done_at IS NULL
  LIMIT 1000 FOR UPDATE SKIP LOCKED),
 told AS (UPDATE away_push SET done_at = now(), sending = false FROM lost
  WHERE away_push.id = lost.id AND notification_id IS NOT NULL RETURNING away_push.id),
 dropped AS (DELETE FROM away_push USING lost
  WHERE away_push.id = lost.id AND notification_id IS NULL RETURNING away_push.id)
 SELECT (SELECT count(*) FROM told) + (SELECT count(*) FROM dropped)""")
PRUNE = text("DELETE FROM away_push WHERE done_at < now() - make_interval(secs => :kept)")
CLAIM: Statement[Any] = Statement("""WITH due AS (SELECT id FROM away_push
  WHERE due_at <= now() AND done_at IS NULL AND NOT sending ORDER BY due_at LIMIT :batch FOR UPDATE SKIP LOCKED)
 UPDATE away_push SET sending = true, due_at = now() + make_interval(secs => :lease) FROM due
 WHERE away_push.id = due.id RETURNING away_push.id""")
# What each push would tell now. `count` is 0 if its messages were read, received, recalled or are no longer for the
# user, `wanted` false likewise for a notification.
COMPOSE: Statement[Any] = Statement(f"""SELECT push.id, push.user_id, push.topic, push.attempts, push.conversation_id,
  push.notification_id, CAST(extract(epoch FROM now() - push.created_at) AS float8) AS age,
  device.id AS device_id, device.kind, device.address, device.p256dh, device.auth,
  coalesce(setting.content, false) AS content, coalesce(setting.quiet_from, 0) AS quiet_from,
  coalesce(setting.quiet_until, 0) AS quiet_until, coalesce(setting.time_zone, 'UTC') AS time_zone,
  coalesce(setting.muted_kinds, '{{}}') AS muted_kinds,
  unread.count, unread.last, shown.sender_id, shown.content_type, shown.body, conversation.title,
  told.kind AS told, told.actor_ids[1] AS actor_id, told.actor_count, CAST(told.subject AS text) AS subject,
  coalesce(told.read_at IS NULL AND NOT EXISTS (SELECT FROM mute WHERE mute.muted AND mute.user_id = push.user_id
   AND mute.muted_id = told.actor_ids[1]), false) AS wanted,
  (SELECT count(*) FROM (SELECT FROM conversation_member AS mine
    JOIN conversation AS its ON its.id = mine.conversation_id
     AND its.last_seq > greatest(mine.read_seq, mine.joined_seq)
    CROSS JOIN LATERAL (SELECT FROM message WHERE message.conversation_id = its.id
     AND seq > greatest(mine.read_seq, mine.joined_seq) AND {COUNTS} LIMIT 100) AS each
    WHERE mine.user_id = push.user_id AND {HEARS} LIMIT {MAX_BADGE}) AS unread) AS badge
 FROM away_push AS push
 LEFT JOIN push_device AS device ON device.id = push.device_id AND device.user_id = push.user_id
 LEFT JOIN push_setting AS setting ON setting.user_id = push.user_id
 LEFT JOIN conversation ON conversation.id = push.conversation_id
 LEFT JOIN notification AS told ON told.id = push.notification_id AND told.user_id = push.user_id
 LEFT JOIN LATERAL (SELECT count(*) AS count, max(seq) AS last FROM conversation_member AS mine
  JOIN message USING (conversation_id)
  WHERE mine.conversation_id = push.conversation_id AND mine.user_id = push.user_id AND {HEARS}
  AND seq > {KNOWN} AND seq BETWEEN push.first_seq AND push.last_seq AND {COUNTS}) AS unread ON true
 LEFT JOIN LATERAL (SELECT sender_id, content_type, left(body->>'text', 2000) AS body FROM message
  WHERE conversation_id = push.conversation_id AND seq = unread.last) AS shown ON true
 WHERE push.id = ANY(CAST(:ids AS bigint[]))""")  # noqa: S608
DROP = text("DELETE FROM away_push WHERE id = ANY(CAST(:ids AS bigint[])) AND notification_id IS NULL")
TELL = text("""UPDATE away_push SET done_at = now(), sending = false
 WHERE id = ANY(CAST(:ids AS bigint[])) AND notification_id IS NOT NULL""")
# One that waits for the device with the same topic meanwhile tells both.
RETRY = text("""WITH again AS (SELECT * FROM jsonb_to_recordset(CAST(:later AS jsonb))
  AS again (id bigint, wait float8, tried int)),
 taken AS (DELETE FROM away_push USING again WHERE away_push.id = again.id RETURNING away_push.*, wait, tried)
INSERT INTO away_push AS waiting (device_id, user_id, topic, conversation_id, first_seq, last_seq, notification_id,
  created_at, due_at, attempts)
 SELECT device_id, user_id, topic, conversation_id, first_seq, last_seq, notification_id, created_at,
  now() + make_interval(secs => wait), attempts + tried FROM taken ORDER BY device_id, topic
 ON CONFLICT (device_id, topic) WHERE NOT sending AND done_at IS NULL
 DO UPDATE SET first_seq = least(waiting.first_seq, excluded.first_seq), attempts = excluded.attempts,
  last_seq = greatest(waiting.last_seq, excluded.last_seq), due_at = greatest(waiting.due_at, excluded.due_at)""")
GONE = text("DELETE FROM push_device WHERE id = ANY(CAST(:ids AS bigint[]))")


class Later(NamedTuple):
    """A push to be tried again, in `wait` seconds. `tried`: 1 if this was an attempt."""

    id: int
    wait: float
    tried: int = 0


async def read_state(database: Database) -> Any:
    async with database.reading() as connection:
        return (await connection.fetch(STATE))[0]


async def claim(database: Database) -> list[Any]:
    """Takes pushes that are due, and returns what they tell now."""
    async with database.reading() as connection:
        ids = [row.id for row in await connection.fetch(CLAIM, batch=BATCH, lease=LEASE)]
        return list(await connection.fetch(COMPOSE, ids=int_array(ids))) if ids else []


async def settle(database: Database, done: Sequence[int], later: Sequence[Later], gone: Sequence[int]) -> None:
    """`done`: pushes that end here, sent or not. `gone`: devices that are no more."""
    async with database.transaction() as connection:
        if done:
            await connection.execute(DROP, {"ids": int_array(done)})
            await connection.execute(TELL, {"ids": int_array(done)})
        if later:
            await connection.execute(RETRY, {"later": json_rows([each._asdict() for each in later])})
        if gone:
            await connection.execute(GONE, {"ids": int_array(gone)})


async def forget_lost(database: Database) -> int:
    """Ends the pushes of workers that died. Returns how many there were."""
    async with database.transaction() as connection:
        await connection.execute(PRUNE, {"kept": KEPT})
        return int((await connection.execute(FORGET)).scalar_one())
