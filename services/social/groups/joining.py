"""Joining groups: the joins of one moment in one transaction, with one look at all and one write.

Locks are taken as everywhere (locks.py). The application of a user whom the owner blocked is stored hidden: to its
sender it looks pending.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from services.kit import telemetry
from services.kit.context import Caller
from services.kit.errors import HitokError
from services.kit.roles import GROUP_MANAGER, GROUP_MEMBER
from services.kit.sql.connection import AsyncConnection
from services.kit.sql.statements import Statement
from services.social import events
from services.social.config import SocialSettings
from services.social.errors import GroupLimitReached, GroupNotFound, MemberLimitReached
from services.social.groups.join_requests import apply_for
from services.social.locks import LOCK
from services.social.models import ACCEPTED, PENDING
from services.social.validation import check_message, parse_time

MAX_JOINS = 100  # per transaction, which locks their users and groups
MAX_INVITERS = 1_000_000  # a limit, so that the planner looks up each user's

GROUPS: Statement[Any] = Statement("""SELECT id, name, owner_id, approval, member_count FROM "group"
 WHERE id = ANY(CAST(:ids AS bigint[])) AND dismissed_at IS NULL AND hidden_at IS NULL ORDER BY id FOR UPDATE""")
# Scalar subqueries, as PostgreSQL may turn EXISTS and joins into hashes of whole tables.
LOOK: Statement[Any] = Statement(f"""SELECT
 (SELECT id FROM member WHERE group_id = asked.group_id AND user_id = asked.user_id) AS member,
 (SELECT id FROM block WHERE blocked_id = asked.user_id
  AND user_id = (SELECT owner_id FROM "group" WHERE id = asked.group_id)) AS blocked,
 (SELECT invited.inviter_id FROM invitation AS invited JOIN member AS inviter
   ON inviter.group_id = invited.group_id AND inviter.user_id = invited.inviter_id
  WHERE invited.group_id = asked.group_id AND invited.user_id = asked.user_id AND inviter.role >= {GROUP_MANAGER}
   AND (asked.inviter_id = 0 OR invited.inviter_id = asked.inviter_id)
  ORDER BY invited.created_at LIMIT 1) AS inviter_id,
 (SELECT count(*) FROM member WHERE user_id = asked.user_id) AS groups
 FROM jsonb_to_recordset(CAST(:asked AS jsonb))
  AS asked (place int, group_id bigint, user_id bigint, inviter_id bigint) ORDER BY place""")  # noqa: S608
WRITE: Statement[Any] = Statement(f"""WITH
 asked AS MATERIALIZED (SELECT * FROM jsonb_to_recordset(CAST(:joined AS jsonb))
  AS row (group_id bigint, user_id bigint, inviter_id bigint)),
 added AS (INSERT INTO member (group_id, user_id, role, inviter_id)
  SELECT group_id, user_id, {GROUP_MEMBER}, inviter_id FROM asked),
 counted AS (UPDATE "group" SET
   member_count = member_count + (SELECT count(*) FROM asked WHERE asked.group_id = "group".id)
  WHERE id = ANY(ARRAY(SELECT group_id FROM asked))),
 used AS (DELETE FROM invitation WHERE ctid = ANY(ARRAY(SELECT found.ctid FROM asked CROSS JOIN LATERAL
   (SELECT ctid FROM invitation WHERE group_id = asked.group_id AND user_id = asked.user_id LIMIT {MAX_INVITERS})
   AS found))
  RETURNING group_id),
 settled AS (UPDATE join_request SET result = {ACCEPTED}, handled_at = now(), handler_id = user_id, hidden = false
  WHERE id = ANY(ARRAY(SELECT found.id FROM asked CROSS JOIN LATERAL (SELECT id FROM join_request
   WHERE group_id = asked.group_id AND user_id = asked.user_id AND result = {PENDING} LIMIT 1) AS found
   WHERE (SELECT count(*) FROM used) >= 0)))
{events.INSERT_TOLD}""")  # noqa: S608


class Join(NamedTuple):
    """`inviter_id`: as the user claims; 0: whoever invited them."""

    caller: Caller
    group_id: int
    inviter_id: int
    application: dict[str, Any]  # what is stored if they have to apply
    trace: str


def join_of(caller: Caller, group_id: int, *, message: str, requested_at: int, inviter_id: int) -> Join:
    """Raises MessageInvalid."""
    check_message(message)
    inviter_id = max(inviter_id, 0)
    stored = {"message": message, "requested_at": parse_time(requested_at), "inviter_id": inviter_id or None}
    return Join(caller, group_id, inviter_id, stored, telemetry.here())


async def write_joins(
    connection: AsyncConnection, settings: SocialSettings, joins: Sequence[Join]
) -> list[bool | HitokError]:
    """Whether each user is a member now, else their application is pending; or why they are refused: GroupNotFound,
    GroupLimitReached or MemberLimitReached."""
    outcomes: dict[int, bool | HitokError] = {}
    left = dict(enumerate(joins))
    users = LOCK.bind(ids=sorted({join.caller.user_id for join in joins}))
    groups = GROUPS.bind(ids=sorted({join.group_id for join in joins}))
    while left:  # of a user's joins each sees what the one before did
        first = {join.caller.user_id: place for place, join in reversed(left.items())}
        wave = {place: left.pop(place) for place in sorted(first.values())}
        looked = LOOK.bind(asked=_asked(wave))
        # One round trip, but in this order: what is looked at is locked.
        _, locked, found = await connection.fetch_each(users, groups, looked)
        written = await _write_wave(connection, settings, list(wave.values()), locked, found)
        outcomes.update(zip(wave, written, strict=True))
    return [outcomes[place] for place in range(len(joins))]


async def _write_wave(
    connection: AsyncConnection, settings: SocialSettings, joins: Sequence[Join], locked: Any, found: Any
) -> list[bool | HitokError]:
    groups = {group.id: group for group in locked}
    counts = {group.id: group.member_count for group in locked}
    outcomes: list[bool | HitokError] = []
    joined: list[dict[str, Any]] = []
    told: list[dict[str, Any]] = []
    for join, row in zip(joins, found, strict=True):
        group = groups.get(join.group_id)
        if group is None:
            outcomes.append(GroupNotFound())
        elif row.member:
            outcomes.append(True)
        elif row.blocked or (group.approval and row.inviter_id is None):
            await apply_for(connection, group, join.caller, {**join.application, "hidden": bool(row.blocked)})
            outcomes.append(False)
        elif counts[group.id] >= settings.max_members:
            outcomes.append(MemberLimitReached())
        elif row.groups >= settings.max_groups:
            outcomes.append(GroupLimitReached())
        else:
            counts[group.id] += 1
            user_id = join.caller.user_id
            joined.append({"group_id": group.id, "user_id": user_id, "inviter_id": row.inviter_id})
            told.append(events.of_join(group, user_id, user_id, row.inviter_id) | {"trace": join.trace})
            outcomes.append(True)
    if joined:
        await connection.fetch(WRITE, joined=_encode(joined), told=_encode(told))
    return outcomes


def _asked(joins: dict[int, Join]) -> str:
    return _encode(
        [
            {"place": place, "group_id": join.group_id, "user_id": join.caller.user_id, "inviter_id": join.inviter_id}
            for place, join in joins.items()
        ]
    )


def _encode(rows: Sequence[Any]) -> str:
    return msgspec.json.encode(rows).decode()
