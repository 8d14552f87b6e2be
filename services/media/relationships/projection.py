"""A copy of friendships and blocks, kept current by the social service's events. videos/visibility.py reads it."""

from sqlalchemy import delete, or_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from services.kit.nats import Event
from services.media.relationships.models import Relationship

FRIENDSHIPS = {"friend.accepted": True, "friend.added": True, "friend.removed": False}
BLOCKS = {"user.blocked": True, "user.unblocked": False}
SUBJECTS = [f"events.social.{verb}" for verb in (*FRIENDSHIPS, *BLOCKS)]


async def apply_event(connection: AsyncConnection, event: Event) -> None:
    """Applies an event of one of SUBJECTS."""
    verb = event.subject.removeprefix("events.social.")
    actor_id, user_id = int(event.data["actor_id"]), int(event.data["user_id"])
    if verb in FRIENDSHIPS:
        await _set(connection, event.id, "friend", FRIENDSHIPS[verb], (actor_id, user_id), (user_id, actor_id))
    else:
        await _set(connection, event.id, "blocks", BLOCKS[verb], (actor_id, user_id))
        await _set(connection, event.id, "blocked", BLOCKS[verb], (user_id, actor_id))


async def _set(connection: AsyncConnection, event_id: int, name: str, value: bool, *pairs: tuple[int, int]) -> None:
    """Sets a column of each pair, unless a later event did: a failed event is delivered again, after later ones."""
    last_event = getattr(Relationship, f"{name}_event")
    row = insert(Relationship)
    newer = row.on_conflict_do_update(
        index_elements=["user_id", "peer_id"],
        set_={name: getattr(row.excluded, name), last_event.key: getattr(row.excluded, last_event.key)},
        where=last_event < getattr(row.excluded, last_event.key),
    )
    for user_id, peer_id in sorted(pairs):
        values = {"user_id": user_id, "peer_id": peer_id, name: value, last_event.key: event_id}
        await connection.execute(newer, values)


async def delete_user(connection: AsyncConnection, user_id: int) -> None:
    """Removes a deleted account's relationships."""
    gone = or_(Relationship.user_id == user_id, Relationship.peer_id == user_id)
    await connection.execute(delete(Relationship).where(gone))
