"""Writes the notifications of many events at once: one look at what their receivers want, one statement that writes.

Unread ones of the same topic share a row. Two transactions that would join the same row take turns.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from services.chat.notifications.mutes import mentions_muted
from services.chat.notifications.notifications import ABOUT_OWN_DOING, MAX_ACTORS, NewNotification
from services.chat.parameters import int_array, json_rows
from services.chat.push import frames
from services.chat.push.frames import Push
from services.chat.push.outbox import GRACE, Publisher
from services.kit.ids import IdGenerator
from services.kit.sql.connection import AsyncConnection
from services.kit.sql.statements import Statement

# ids of users
LOCK: Statement[Any] = Statement("SELECT pg_advisory_xact_lock(id) FROM unnest(CAST(:ids AS bigint[])) AS id")
# What the receivers do not want, and the unread rows that may be joined. Blocks count in both directions.
LOOK: Statement[Any] = Statement("""SELECT now() AS now,
 (SELECT json_agg(json_build_array(user_id, kind)) FROM notification_mute WHERE user_id = ANY(asked.users)) AS kinds,
 (SELECT json_agg(json_build_array(user_id, blocked_id)) FROM block WHERE blocked
  AND (user_id = ANY(asked.users) AND blocked_id = ANY(asked.actors)
   OR user_id = ANY(asked.actors) AND blocked_id = ANY(asked.users))) AS blocks,
 (SELECT json_agg(json_build_array(user_id, muted_id)) FROM mute
  WHERE muted AND user_id = ANY(asked.users) AND muted_id = ANY(asked.actors)) AS mutes,
 (SELECT json_object_agg(user_id, words) FROM muted_words WHERE user_id = ANY(asked.users)) AS words,
 (SELECT json_agg(json_build_array(topics.user_id, topics.topic, unread.id, unread.kind, unread.actor_ids,
   unread.actor_count, unread.subject))
  FROM jsonb_to_recordset(CAST(:topics AS jsonb)) AS topics (user_id bigint, topic text)
  CROSS JOIN LATERAL (SELECT * FROM notification WHERE user_id = topics.user_id AND topic = topics.topic
   AND read_at IS NULL AND created_at > now() - interval '24 hours' ORDER BY id DESC LIMIT 1) AS unread) AS unread
 FROM (SELECT CAST(:users AS bigint[]) AS users, CAST(:actors AS bigint[]) AS actors) AS asked""")
# An event that has written its notification before writes none, and pushes none.
WRITE: Statement[Any] = (
    Statement("""WITH told AS (SELECT * FROM ROWS FROM (jsonb_to_recordset(CAST(:rows AS jsonb)) AS (id bigint,
  joins boolean, user_id bigint, kind text, event text, topic text, actor_ids bigint[], actor_count int, subject jsonb,
  push_subject text, header text, payload text)) WITH ORDINALITY AS t (id, joins, user_id, kind, event, topic,
  actor_ids, actor_count, subject, push_subject, header, payload, place)),
 joined AS (UPDATE notification SET actor_ids = told.actor_ids, actor_count = told.actor_count, created_at = now()
  FROM told WHERE told.joins AND notification.id = told.id RETURNING notification.id),
 added AS (INSERT INTO notification (id, user_id, kind, event, topic, actor_ids, actor_count, subject)
  SELECT id, user_id, kind, event, topic, actor_ids, actor_count, subject FROM told WHERE NOT joins ORDER BY place
  ON CONFLICT DO NOTHING RETURNING id)
INSERT INTO push (subject, header, payload, due_at)
 SELECT push_subject, header, payload, now() + make_interval(secs => :grace) FROM told
 WHERE id IN (SELECT id FROM joined UNION ALL SELECT id FROM added) ORDER BY place
 RETURNING id, subject, header, payload""")
)


@dataclass(slots=True)
class _Row:
    """A notification as it will be stored. `joins`: the row is there already."""

    id: int
    joins: bool
    user_id: int
    kind: str
    event: str
    topic: str
    actor_ids: list[int]
    actor_count: int
    subject: Any
    created_at: datetime
    read_at: datetime | None = None

    def join(self, actor_id: int) -> None:
        others = [id for id in self.actor_ids if id != actor_id]
        self.actor_count += len(others) == len(self.actor_ids)
        self.actor_ids = [actor_id, *others][:MAX_ACTORS]

    def values(self) -> dict[str, object]:
        push = frames.notified(self)
        names = ("id", "joins", "user_id", "kind", "event", "topic", "actor_ids", "actor_count", "subject")
        values = {name: getattr(self, name) for name in names}
        return values | {"push_subject": push.subject, "header": push.header, "payload": push.payload}


async def notify(
    connection: AsyncConnection,
    publisher: Publisher,
    new_id: IdGenerator,
    told: Iterable[tuple[str, NewNotification]],
) -> None:
    """Writes those that their receivers want, each with the key of its event, and pushes them after the commit.

    The same key writes one notification of a user at most. Those of a topic are pushed as the row that they share.
    """
    new = [(event, each) for event, each in told if _is_new(each)]
    if not new:
        return
    topics = sorted({(each.user_id, each.topic) for _, each in new if each.topic})
    found = await _look(connection, [each for _, each in new], topics)
    rows = _rows(new_id, [(event, each) for event, each in new if _is_wanted(each, found)], found)
    if not rows:
        return
    pushed = await connection.fetch(WRITE, rows=json_rows([row.values() for row in rows]), grace=GRACE)
    pushes = [Push(row.subject, row.header, row.payload) for row in pushed]
    publisher.publish_after_commit(connection, [row.id for row in pushed], pushes)


def _is_new(new: NewNotification) -> bool:
    """Whether it says what its receiver did not do themselves."""
    return new.user_id > 0 and (new.user_id != new.actor_id or new.kind in ABOUT_OWN_DOING)


async def _look(
    connection: AsyncConnection, new: Sequence[NewNotification], topics: Sequence[tuple[int, str]]
) -> "_Found":
    asked = {
        "users": int_array(sorted({each.user_id for each in new})),
        "actors": int_array(sorted({each.actor_id for each in new})),
        "topics": json_rows([{"user_id": user_id, "topic": topic} for user_id, topic in topics]),
    }
    locks = [LOCK.bind(ids=int_array(sorted({user_id for user_id, _ in topics})))] if topics else []
    # One round trip, but in this order: what is looked at is locked.
    (*_, (found,)) = await connection.fetch_each(*locks, LOOK.bind(**asked))
    return _Found(found)


class _Found:
    """What LOOK found, by user."""

    def __init__(self, row: Any) -> None:
        self.now: datetime = row.now
        self.kinds = {tuple(each) for each in row.kinds or ()}
        self.apart = {pair for a, b in row.blocks or () for pair in ((a, b), (b, a))}
        self.muted = {tuple(each) for each in row.mutes or ()}
        self.words = {int(user_id): words for user_id, words in (row.words or {}).items()}
        self.unread = {(user_id, topic): rest for user_id, topic, *rest in row.unread or ()}


def _is_wanted(new: NewNotification, found: _Found) -> bool:
    pair = (new.user_id, new.actor_id)
    if (new.user_id, new.kind) in found.kinds or pair in found.apart or pair in found.muted:
        return False
    return not mentions_muted(found.words.get(new.user_id), new.text)


def _rows(new_id: IdGenerator, wanted: Sequence[tuple[str, NewNotification]], found: _Found) -> list[_Row]:
    rows: list[_Row] = []
    shared: dict[tuple[int, str], _Row] = {}
    for event, new in wanted:
        place = new.user_id, new.topic
        row = shared.get(place)
        if row is None and place in found.unread:
            id, kind, actor_ids, actor_count, subject = found.unread[place]
            about = (id, True, new.user_id, kind, "", new.topic, actor_ids, actor_count, subject)
            rows.append(row := _Row(*about, found.now))
        if row is not None:
            row.join(new.actor_id)
        else:
            about = (new_id(), False, new.user_id, new.kind, event, new.topic, [new.actor_id], 1, new.subject)
            rows.append(row := _Row(*about, found.now))
        if new.topic:
            shared[place] = row
    return rows
