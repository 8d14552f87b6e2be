"""A copy of friendships, follows and blocks, kept current by the social service's events, for videos/visibility.py."""

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
from sqlalchemy import text

from services.kit.nats import Event
from services.kit.sql.connection import AsyncConnection

FRIENDSHIPS = ("friend.accepted", "friend.added", "friend.agreed", "friend.removed")
BLOCKS = {"user.blocked": True, "user.unblocked": False}
FOLLOWS = {"follow.started": True, "follow.ended": False}
COLUMNS = ("friend", "blocks", "blocked", "follows")
NOTHING: dict[str, Any] = dict.fromkeys(COLUMNS, False) | {f"{name}_event": 0 for name in COLUMNS}
# In the order of the keys, as another process may be writing some of the same rows.
_newer = ", ".join(
    f"{name} = CASE WHEN s.{name}_event < excluded.{name}_event THEN excluded.{name} ELSE s.{name} END,"
    f" {name}_event = greatest(s.{name}_event, excluded.{name}_event)"
    for name in COLUMNS
)
UPSERT = text(f"""INSERT INTO standing AS s
 (user_id, peer_id, {", ".join(COLUMNS)}, {", ".join(f"{name}_event" for name in COLUMNS)})
 SELECT user_id, peer_id, {", ".join(COLUMNS)}, {", ".join(f"{name}_event" for name in COLUMNS)}
 FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS row (user_id bigint, peer_id bigint,
  {", ".join(f"{name} boolean, {name}_event bigint" for name in COLUMNS)}) ORDER BY user_id, peer_id
 ON CONFLICT (user_id, peer_id) DO UPDATE SET {_newer}""")  # noqa: S608
BATCH = 10_000  # rows per statement: a user may have a million followers, and a statement has 5 s
DELETE = text("""DELETE FROM standing WHERE ctid = ANY (ARRAY(
 SELECT ctid FROM standing WHERE user_id = :user UNION ALL SELECT ctid FROM standing WHERE peer_id = :user
 LIMIT :most))""")
SUBJECTS = [f"events.social.{verb}" for verb in (*FRIENDSHIPS, *BLOCKS, *FOLLOWS)]


async def apply_events(connection: AsyncConnection, events: Sequence[Event]) -> None:
    """Applies events of SUBJECTS, unless later ones did: a failed event is delivered again, after later ones."""
    rows: dict[tuple[int, int], dict[str, Any]] = {}
    for event in events:
        for user_id, peer_id, name, value in _changes(event):
            row = rows.setdefault((user_id, peer_id), NOTHING | {"user_id": user_id, "peer_id": peer_id})
            if row[f"{name}_event"] < event.id:
                row |= {name: value, f"{name}_event": event.id}
    if rows:
        await connection.execute(UPSERT, {"rows": msgspec.json.encode(list(rows.values())).decode()})


def _changes(event: Event) -> Iterator[tuple[int, int, str, bool]]:
    """(user, peer, column, value) of each row that an event changes."""
    verb = event.subject.removeprefix("events.social.")
    actor_id, user_id = int(event.data["actor_id"]), int(event.data["user_id"])
    if verb in BLOCKS:
        yield actor_id, user_id, "blocks", BLOCKS[verb]
        yield user_id, actor_id, "blocked", BLOCKS[verb]
        return
    if verb in FOLLOWS:
        yield actor_id, user_id, "follows", FOLLOWS[verb]
        return
    yield user_id, actor_id, "friend", _actor_agreed(verb, event.data)
    if (user_agreed := _user_agreed(verb, event.data)) is not None:
        yield actor_id, user_id, "friend", user_agreed


def _actor_agreed(verb: str, data: dict[str, Any]) -> bool:
    """Whether the event's actor wants the friendship, so that their videos for friends are open to the user."""
    return bool(data.get("agreed", True)) if verb == "friend.agreed" else verb != "friend.removed"


def _user_agreed(verb: str, data: dict[str, Any]) -> bool | None:
    """As `_actor_agreed`, of the other user; None: as before. An old `friend.added` does not say, and only its actor
    had agreed."""
    if verb == "friend.agreed":
        return None
    return bool(data.get("user_agreed", verb == "friend.accepted"))


async def delete_user(connection: AsyncConnection, user_id: int) -> None:
    """Removes a deleted account's relationships."""
    while (await connection.execute(DELETE, {"user": user_id, "most": BATCH})).rowcount == BATCH:
        pass
