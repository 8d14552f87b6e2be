"""A copy of friendships and blocks, kept current by the social service's events. videos/visibility.py reads it."""

from typing import Any

from sqlalchemy import delete, or_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from services.kit.nats import Event
from services.media.relationships.models import Relationship

FRIENDSHIPS = ("friend.accepted", "friend.added", "friend.agreed", "friend.removed")
BLOCKS = {"user.blocked": True, "user.unblocked": False}
SUBJECTS = [f"events.social.{verb}" for verb in (*FRIENDSHIPS, *BLOCKS)]


async def apply_event(connection: AsyncConnection, event: Event) -> None:
    """Applies an event of one of SUBJECTS."""
    verb = event.subject.removeprefix("events.social.")
    actor_id, user_id = int(event.data["actor_id"]), int(event.data["user_id"])
    if verb in FRIENDSHIPS:
        actor_agreed, user_agreed = _actor_agreed(verb, event.data), _user_agreed(verb, event.data)
        await _set(connection, event.id, "friend", actor_agreed, (user_id, actor_id))
        if user_agreed is not None:
            await _set(connection, event.id, "friend", user_agreed, (actor_id, user_id))
    else:
        await _set(connection, event.id, "blocks", BLOCKS[verb], (actor_id, user_id))
        await _set(connection, event.id, "blocked", BLOCKS[verb], (user_id, actor_id))


def _actor_agreed(verb: str, data: dict[str, Any]) -> bool:
    """Whether the event's actor wants the friendship, so that their videos for friends are open to the user."""
    return bool(data.get("agreed", True)) if verb == "friend.agreed" else verb != "friend.removed"


def _user_agreed(verb: str, data: dict[str, Any]) -> bool | None:
    """As `_actor_agreed`, of the other user; None: as before. An old `friend.added` does not say, and only its actor
    had agreed."""
    if verb == "friend.agreed":
        return None
    return bool(data.get("user_agreed", verb == "friend.accepted"))


async def _set(connection: AsyncConnection, event_id: int, name: str, value: bool, pair: tuple[int, int]) -> None:
    """Sets a column of the pair, unless a later event did: a failed event is delivered again, after later ones."""
    last_event = getattr(Relationship, f"{name}_event")
    row = insert(Relationship)
    newer = row.on_conflict_do_update(
        index_elements=["user_id", "peer_id"],
        set_={name: getattr(row.excluded, name), last_event.key: getattr(row.excluded, last_event.key)},
        where=last_event < getattr(row.excluded, last_event.key),
    )
    values = {"user_id": pair[0], "peer_id": pair[1], name: value, last_event.key: event_id}
    await connection.execute(newer, values)


async def delete_user(connection: AsyncConnection, user_id: int) -> None:
    """Removes a deleted account's relationships."""
    gone = or_(Relationship.user_id == user_id, Relationship.peer_id == user_id)
    await connection.execute(delete(Relationship).where(gone))
