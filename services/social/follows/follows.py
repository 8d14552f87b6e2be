"""Following: changes of many users in one transaction, in the order they arrived (the servicer gathers them).

The row is the truth; the counts move only with rows. Followers lock users shared, so that the many who follow one user
at the same moment do not wait for each other, but for a block, which locks them alone.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec
from sqlalchemy import text

from services.kit import telemetry
from services.kit.context import Caller
from services.kit.sql.connection import AsyncConnection
from services.kit.sql.statements import Statement
from services.social import events
from services.social.errors import Blocked, FollowLimitReached, RequestNotFound, SelfFollow, UserNotFound
from services.social.locks import lock_users
from services.social.models import ASK

LOCK_SHARED: Statement[tuple[None]] = Statement(
    "SELECT pg_advisory_xact_lock_shared(id) FROM unnest(CAST(:ids AS bigint[])) AS id"
)
_BLOCKS = "EXISTS (SELECT FROM block WHERE block.user_id = asked.{} AND blocked_id = asked.{})"
_IS_FULL = "coalesce((SELECT following FROM follow_count c WHERE c.user_id = asked.user_id), 0) >= :most"


class _State(NamedTuple):
    """What became of a wish to follow. `blocks`: the user blocks the other one."""

    made: bool
    pending: bool
    blocks: bool
    is_full: bool


# Rows, counts and events, and what became of each wish to follow, in order.
WRITE = Statement(
    f"""WITH asked AS MATERIALIZED (SELECT * FROM ROWS FROM (jsonb_to_recordset(CAST(:rows AS jsonb)) AS
   (user_id bigint, followed_id bigint, follows boolean)) WITH ORDINALITY AS t (user_id, followed_id, follows, place)),
 made AS (INSERT INTO follow (user_id, followed_id, pending)
  SELECT user_id, followed_id, coalesce(
    (SELECT who_may_follow = {ASK} FROM contact_settings s WHERE s.user_id = asked.followed_id), false)
  FROM asked WHERE follows AND NOT {_BLOCKS.format("user_id", "followed_id")}
   AND NOT {_BLOCKS.format("followed_id", "user_id")} AND NOT {_IS_FULL}
  ORDER BY user_id, followed_id ON CONFLICT DO NOTHING RETURNING user_id, followed_id, pending),
 gone AS (DELETE FROM follow USING asked WHERE NOT asked.follows
  AND follow.user_id = asked.user_id AND follow.followed_id = asked.followed_id
  RETURNING follow.user_id, follow.followed_id, pending),
 changed AS (SELECT *, 1 AS step FROM made UNION ALL SELECT *, -1 FROM gone),
 steps (id, followers, following) AS (SELECT followed_id, step, 0 FROM changed WHERE NOT pending
  UNION ALL SELECT user_id, 0, step FROM changed WHERE NOT pending),
 counted AS (INSERT INTO follow_count AS c (user_id, followers, following)
  SELECT id, sum(followers), sum(following) FROM steps GROUP BY id
  HAVING sum(followers) <> 0 OR sum(following) <> 0 ORDER BY id
  ON CONFLICT (user_id) DO UPDATE SET followers = c.followers + excluded.followers,
   following = c.following + excluded.following),
 told AS (INSERT INTO outbox (subject, aggregate, data, trace)
  SELECT 'events.social.follow.' || CASE WHEN step < 0 THEN 'ended' WHEN pending THEN 'requested' ELSE 'started' END,
   'pair:' || least(user_id, followed_id) || ':' || greatest(user_id, followed_id),
   jsonb_build_object('actor_id', CAST(user_id AS text), 'user_id', CAST(followed_id AS text)),
   nullif(CAST(:trace AS text), '')
  FROM changed WHERE step > 0 OR NOT pending ORDER BY user_id, followed_id)
SELECT coalesce(made.pending, follow.pending) IS NOT NULL AS made,
  coalesce(made.pending, follow.pending, false) AS pending,
  {_BLOCKS.format("user_id", "followed_id")} AS blocks, {_IS_FULL} AS is_full
 FROM asked LEFT JOIN made USING (user_id, followed_id)
 LEFT JOIN follow ON follow.user_id = asked.user_id AND follow.followed_id = asked.followed_id
 WHERE asked.follows ORDER BY place""",  # noqa: S608
    _State,
)
ASKED = "unnest(CAST(:users AS bigint[]), CAST(:followed AS bigint[])) AS asked (user_id, followed_id)"
DELETE = text(f"""DELETE FROM follow USING {ASKED}
 WHERE follow.user_id = asked.user_id AND follow.followed_id = asked.followed_id
 RETURNING follow.user_id, follow.followed_id, pending""")  # noqa: S608
COUNT = text("""INSERT INTO follow_count AS c (user_id, followers, following)
 SELECT * FROM unnest(CAST(:users AS bigint[]), CAST(:followers AS bigint[]), CAST(:following AS bigint[])) AS t(id)
 ORDER BY id
 ON CONFLICT (user_id) DO UPDATE SET followers = c.followers + excluded.followers,
  following = c.following + excluded.following""")
ACCEPT = text("""UPDATE follow SET pending = false WHERE user_id = :user AND followed_id = :followed AND pending
 RETURNING user_id, followed_id""")
OF_USER = text("""DELETE FROM follow WHERE id IN
 (SELECT id FROM follow WHERE user_id = :user UNION ALL SELECT id FROM follow WHERE followed_id = :user LIMIT :most)
 RETURNING user_id, followed_id, pending""")

Pair = tuple[int, int]  # a user, and whom they follow


class Change(NamedTuple):
    user_id: int
    followed_id: int
    follows: bool


class Outcome(NamedTuple):
    reason: str = ""  # why it failed
    requested: bool = False


async def change_follows(connection: AsyncConnection, changes: Sequence[Change], most: int) -> list[Outcome]:
    """One outcome for each change, in order. `most`: how many users one may follow."""
    wanted = {(user, followed): on for user, followed, on in changes if followed > 0 and user != followed}
    ids = sorted({id for pair in wanted for id in pair})
    rows = [{"user_id": user, "followed_id": followed, "follows": on} for (user, followed), on in wanted.items()]
    write = {"rows": msgspec.json.encode(rows).decode(), "most": most, "trace": telemetry.here()}
    lock = LOCK_SHARED.bind(ids="{" + ",".join(map(str, ids)) + "}")
    _, states = await connection.fetch_each(lock, WRITE.bind(**write))
    on = [pair for pair, follows in wanted.items() if follows]
    outcomes = {pair: _outcome(state) for pair, state in zip(on, states, strict=True)}
    return [outcomes.get((user, followed), _refusal(user, followed)) for user, followed, _ in changes]


def _outcome(state: _State) -> Outcome:
    if state.made:
        return Outcome(requested=state.pending)
    if state.blocks:
        return Outcome(Blocked().reason)
    return Outcome(FollowLimitReached().reason) if state.is_full else Outcome()  # the blocked hear that they follow


def _refusal(user_id: int, followed_id: int) -> Outcome:
    if followed_id <= 0:
        return Outcome(UserNotFound().reason)
    return Outcome(SelfFollow().reason if user_id == followed_id else "")


def _columns(pairs: Sequence[Pair]) -> dict[str, object]:
    return {"users": [user for user, _ in pairs], "followed": [followed for _, followed in pairs]}


async def _count(connection: AsyncConnection, began: Iterable[Pair], ended: Iterable[Pair]) -> None:
    followers: Counter[int] = Counter()
    following: Counter[int] = Counter()
    for pairs, step in ((began, 1), (ended, -1)):
        for user, followed in pairs:
            following[user] += step
            followers[followed] += step
    users = [id for id in {*followers, *following} if followers[id] or following[id]]
    if users:
        steps = {"followers": [followers[id] for id in users], "following": [following[id] for id in users]}
        await connection.execute(COUNT, {"users": users, **steps})


async def remove_follower(connection: AsyncConnection, caller: Caller, user_id: int) -> None:
    await lock_users(connection, caller.user_id, user_id)
    await _end(connection, [(user_id, caller.user_id)])


async def handle_request(connection: AsyncConnection, caller: Caller, user_id: int, accept: bool) -> None:
    """Raises RequestNotFound."""
    await lock_users(connection, caller.user_id, user_id)
    pair = (user_id, caller.user_id)
    if not accept:
        if not await _end(connection, [pair], pending=True):
            raise RequestNotFound
        return
    if not (await connection.execute(ACCEPT, {"user": user_id, "followed": caller.user_id})).first():
        raise RequestNotFound
    await _count(connection, [pair], [])
    await events.follows_changed(connection, "started", [pair], accepted=True)


async def part(connection: AsyncConnection, a: int, b: int) -> None:
    """Ends what a locked pair have of each other, who are apart by a block from now on."""
    await _end(connection, [(a, b), (b, a)])


async def forget_user(connection: AsyncConnection, user_id: int, most: int) -> None:
    """Deletes the follows of an erased account, either way, `most` at a time. Who copies them hears of the account."""
    while True:
        gone = (await connection.execute(OF_USER, {"user": user_id, "most": most})).all()
        await _count(connection, [], [(user, followed) for user, followed, pending in gone if not pending])
        if len(gone) < most:
            break
    await connection.execute(text("DELETE FROM follow_count WHERE user_id = :user"), {"user": user_id})


async def _end(connection: AsyncConnection, pairs: Sequence[Pair], pending: bool = False) -> int:
    """With `pending` only requests. Returns how many rows there were."""
    statement = text(f"{DELETE.text.replace('RETURNING', 'AND pending RETURNING')}") if pending else DELETE
    gone = (await connection.execute(statement, _columns(pairs))).all()
    ended = [(user, followed) for user, followed, waited in gone if not waited]
    await _count(connection, [], ended)
    await events.follows_changed(connection, "ended", ended)
    withdrawn = [(user, followed) for user, followed, waited in gone if waited]
    await events.follows_changed(connection, "withdrawn", withdrawn)
    return len(gone)
