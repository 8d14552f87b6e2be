"""Adding friends, and asking to be friends: the adds and requests of one moment in one transaction.

All their users are locked, all pairs are looked at together, and one statement writes what follows for each. A request
to a user who blocked its sender, or who lets nobody add them, is stored hidden: its receiver never sees it. Each side
of a friendship agrees for itself (docs/contract/api.md, "Consent, blocks, privacy").
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from services.kit import telemetry
from services.kit.context import Caller
from services.kit.errors import HitokError
from services.kit.sql.connection import AsyncConnection
from services.kit.sql.statements import Bound, Statement
from services.social import events
from services.social.config import SocialSettings
from services.social.errors import (
    AlreadyFriends,
    Blocked,
    FriendLimitReached,
    RequestLimitReached,
    SelfFriend,
    UserNotFound,
)
from services.social.locks import LOCK
from services.social.models import ACCEPTED, ADDED, EVERYONE, NOBODY, PENDING, REQUESTED
from services.social.validation import check_message, parse_time

MAX_ASKS = 200  # per transaction, which locks their users

# Scalar subqueries and ids in arrays, as PostgreSQL may turn EXISTS and joins into hashes of whole tables.
LOOK: Statement[Any] = Statement(f"""SELECT
 (SELECT json_build_array(id, agreed) FROM friendship
  WHERE user_id = caller_id AND friend_id = asks.user_id) AS friendship,
 (SELECT id FROM block WHERE user_id = caller_id AND blocked_id = asks.user_id) AS blocks,
 (SELECT id FROM block WHERE user_id = asks.user_id AND blocked_id = caller_id) AS blocked,
 (SELECT peer_id FROM refusal WHERE user_id = asks.user_id AND peer_id = caller_id) AS refused,
 coalesce((SELECT who_may_add FROM contact_settings WHERE user_id = asks.user_id), {EVERYONE}) AS who_may_add,
 (SELECT json_build_array(id, hidden) FROM friend_request
  WHERE from_id = caller_id AND to_id = asks.user_id AND result = {PENDING}) AS asked,
 (SELECT json_build_array(id, message) FROM friend_request
  WHERE from_id = asks.user_id AND to_id = caller_id AND result = {PENDING}) AS was_asked,
 (SELECT count(*) FROM friendship WHERE user_id = caller_id) AS friends,
 (SELECT count(*) FROM friendship WHERE user_id = asks.user_id) AS peers_friends,
 (SELECT count(*) FROM friend_request WHERE from_id = caller_id AND result = {PENDING}) AS waiting
 FROM jsonb_to_recordset(CAST(:asks AS jsonb)) AS asks (place int, caller_id bigint, user_id bigint)
 ORDER BY place""")  # noqa: S608
WRITE: Statement[Any] = Statement(f"""WITH
 pairs AS (SELECT * FROM jsonb_to_recordset(CAST(:friends AS jsonb))
  AS row (user_id bigint, friend_id bigint, source smallint, agreed boolean)),
 befriended AS (INSERT INTO friendship (user_id, friend_id, source, agreed)
  SELECT user_id, friend_id, source, agreed FROM pairs),
 settled AS (UPDATE friend_request SET result = {ACCEPTED}, handled_at = now()
  WHERE id = ANY(CAST(:settled AS bigint[]))),
 forgiven AS (DELETE FROM refusal WHERE ctid = ANY(ARRAY(SELECT found.ctid FROM pairs CROSS JOIN LATERAL
  (SELECT ctid FROM refusal WHERE user_id = pairs.user_id AND peer_id = pairs.friend_id LIMIT 1) AS found))),
 agreed AS (UPDATE friendship SET agreed = true WHERE id = ANY(CAST(:agreed AS bigint[]))),
 filed AS (SELECT * FROM jsonb_to_recordset(CAST(:filed AS jsonb)) AS row (id bigint, from_id bigint, to_id bigint,
  message text, requested_at timestamptz, hidden boolean, trace text)),
 added AS (INSERT INTO friend_request (from_id, to_id, message, requested_at, hidden)
  SELECT from_id, to_id, message, requested_at, hidden FROM filed WHERE id IS NULL
  RETURNING id, from_id, to_id, message, hidden),
 shown AS (UPDATE friend_request SET hidden = false,
   (message, requested_at) = (SELECT message, requested_at FROM filed WHERE filed.id = friend_request.id)
  WHERE id = ANY(ARRAY(SELECT id FROM filed WHERE id IS NOT NULL)) RETURNING id, from_id, to_id, message, hidden)
{events.INSERT_TOLD}
 UNION ALL SELECT 'events.social.friend.requested',
  'pair:' || least(from_id, to_id) || ':' || greatest(from_id, to_id),
  jsonb_build_object('actor_id', from_id::text, 'user_id', to_id::text, 'request_id', request.id::text,
   'message', request.message, 'from_user_id', from_id::text, 'to_user_id', to_id::text), nullif(trace, '')
  FROM (SELECT * FROM added UNION ALL SELECT * FROM shown) AS request JOIN filed USING (from_id, to_id)
  WHERE NOT request.hidden""")  # noqa: S608


class Ask(NamedTuple):
    """To be friends with the user; `adds`: without a request, if the user lets them."""

    caller_id: int
    user_id: int
    adds: bool
    message: str
    requested_at: str
    trace: str


def ask_of(caller: Caller, user_id: int, *, adds: bool = False, message: str = "", requested_at: int = 0) -> Ask:
    """Raises MessageInvalid, SelfFriend, UserNotFound."""
    check_message(message)
    if user_id == caller.user_id:
        raise SelfFriend
    if user_id <= 0:
        raise UserNotFound
    return Ask(caller.user_id, user_id, adds, message, parse_time(requested_at).isoformat(), telemetry.here())


async def write_asks(
    connection: AsyncConnection, settings: SocialSettings, asks: Sequence[Ask]
) -> list[HitokError | None]:
    """What each is refused for: Blocked, AlreadyFriends, FriendLimitReached or RequestLimitReached.

    A request becomes a friendship if the other user asked before; an add becomes a request if the user removed, refused
    or blocked the caller, or wants to be asked. Either agrees to the friendship that the other user began.
    """
    locks = LOCK.bind(ids=sorted({id for ask in asks for id in ask[:2]}))
    refusals: dict[int, HitokError | None] = {}
    left = dict(enumerate(asks))
    while left:  # of the asks of a pair each sees what the one before did
        pairs = {frozenset(ask[:2]): place for place, ask in reversed(left.items())}
        wave = {place: left.pop(place) for place in sorted(pairs.values())}
        refused = await _write_wave(connection, settings, list(wave.values()), locks)
        refusals.update(zip(wave, refused, strict=True))
    return [refusals[place] for place in range(len(asks))]


async def _write_wave(
    connection: AsyncConnection, settings: SocialSettings, asks: Sequence[Ask], locks: Bound
) -> list[HitokError | None]:
    asked = [{"place": n, "caller_id": ask.caller_id, "user_id": ask.user_id} for n, ask in enumerate(asks)]
    # One round trip, but in this order: what is looked at is locked.
    _, found = await connection.fetch_each(locks, LOOK.bind(asks=_encode(asked)))
    plan = _Plan(settings)
    refusals = [plan.take(ask, row) for ask, row in zip(asks, found, strict=True)]
    if plan.told or plan.filed:
        rows = {name: _encode(getattr(plan, name)) for name in ("friends", "filed", "told")}
        await connection.fetch(WRITE, **rows, settled=plan.settled, agreed=plan.agreed)
    return refusals


def _encode(rows: Sequence[Any]) -> str:
    return msgspec.json.encode(rows).decode()


class _Plan:
    """What is to be written for asks of different pairs, by which a user's friends and requests also grow."""

    def __init__(self, settings: SocialSettings) -> None:
        self._settings = settings
        self._friends: dict[int, int] = {}
        self._waiting: dict[int, int] = {}
        self.friends: list[dict[str, Any]] = []
        self.settled: list[int] = []  # ids of requests
        self.agreed: list[int] = []  # ids of friendships
        self.filed: list[dict[str, Any]] = []
        self.told: list[dict[str, Any]] = []

    def take(self, ask: Ask, found: Any) -> HitokError | None:
        """`found` is the row of LOOK."""
        if found.blocks:
            return Blocked()
        id, agreed = found.friendship or (None, False)
        if agreed:
            return AlreadyFriends()
        if id is not None:
            self.agreed.append(id)
            self._tell(ask, "friend.agreed", agreed=True)
            return None
        if found.was_asked and not found.blocked:
            return self._befriend(ask, found, ADDED if ask.adds else REQUESTED)
        if ask.adds and not (found.blocked or found.refused or found.who_may_add != EVERYONE):
            return self._befriend(ask, found, ADDED)
        return self._file(ask, found)

    def _befriend(self, ask: Ask, found: Any, source: int) -> HitokError | None:
        caller_id, user_id = ask.caller_id, ask.user_id
        self._friends.setdefault(caller_id, found.friends)
        self._friends.setdefault(user_id, found.peers_friends)
        if max(self._friends[caller_id], self._friends[user_id]) >= self._settings.max_friends:
            return FriendLimitReached()
        peer_agreed = bool(found.was_asked)
        self.settled += [request[0] for request in (found.asked, found.was_asked) if request]
        for user, friend, agreed in ((caller_id, user_id, True), (user_id, caller_id, peer_agreed)):
            self._friends[user] += 1
            self.friends.append({"user_id": user, "friend_id": friend, "source": source, "agreed": agreed})
        if ask.adds:
            self._tell(ask, "friend.added", actor_agreed=True, user_agreed=peer_agreed)
        else:
            request_id, message = found.was_asked
            users = {"from_user_id": str(user_id), "to_user_id": str(caller_id)}
            about = {"request_id": str(request_id), "message": message, **users}
            self._tell(ask, "friend.accepted", **about, actor_agreed=True, user_agreed=True)
        return None

    def _file(self, ask: Ask, found: Any) -> HitokError | None:
        """Stores a pending request. A hidden one becomes visible if the caller asks again and nothing hides it now."""
        hidden = bool(found.blocked) or found.who_may_add == NOBODY
        id, was_hidden = found.asked or (None, False)
        if id is None:
            waiting = self._waiting.setdefault(ask.caller_id, found.waiting)
            if waiting >= self._settings.max_friend_requests:
                return RequestLimitReached()
            self._waiting[ask.caller_id] += 1
        elif not was_hidden or hidden:
            return None
        row = {"id": id, "from_id": ask.caller_id, "to_id": ask.user_id, "message": "" if ask.adds else ask.message}
        self.filed.append(row | {"requested_at": ask.requested_at, "hidden": hidden, "trace": ask.trace})
        return None

    def _tell(self, ask: Ask, what: str, **data: Any) -> None:
        self.told.append(events.of_pair(what, ask.caller_id, ask.user_id, **data) | {"trace": ask.trace})
