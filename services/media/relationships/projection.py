"""How users stand to each other, as the social service's events tell (audience.py reads it)."""

from sqlalchemy import delete, or_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from services.kit.nats import Event
from services.media.videos.models import Leaver, Standing

FRIENDSHIPS = {"friend.accepted": True, "friend.added": True, "friend.removed": False}
BLOCKS = {"user.blocked": True, "user.unblocked": False}
SUBJECTS = [f"events.social.{verb}" for verb in (*FRIENDSHIPS, *BLOCKS)]


async def learn(connection: AsyncConnection, event: Event) -> None:
    """Of one of SUBJECTS."""
    verb = event.subject.removeprefix("events.social.")
    actor_id, user_id = int(event.data["actor_id"]), int(event.data["user_id"])
    if verb in FRIENDSHIPS:
        await _set(connection, event.id, "friend", FRIENDSHIPS[verb], (actor_id, user_id), (user_id, actor_id))
    else:
        await _set(connection, event.id, "blocks", BLOCKS[verb], (actor_id, user_id))
        await _set(connection, event.id, "blocked", BLOCKS[verb], (user_id, actor_id))


async def _set(connection: AsyncConnection, event_id: int, name: str, value: bool, *pairs: tuple[int, int]) -> None:
    """Unless a later event was there before: one that failed comes again behind those that followed it."""
    known = getattr(Standing, f"{name}_event")
    row = insert(Standing)
    newer = row.on_conflict_do_update(
        index_elements=["user_id", "peer_id"],
        set_={name: getattr(row.excluded, name), known.key: getattr(row.excluded, known.key)},
        where=known < getattr(row.excluded, known.key),
    )
    for user_id, peer_id in sorted(pairs):
        values = {"user_id": user_id, "peer_id": peer_id, name: value, known.key: event_id}
        await connection.execute(newer, values)


async def forget(connection: AsyncConnection, user_id: int) -> None:
    """Of a deleted account; leaving.py removes the rest."""
    await connection.execute(delete(Standing).where(or_(Standing.user_id == user_id, Standing.peer_id == user_id)))
    await connection.execute(insert(Leaver).values(user_id=user_id).on_conflict_do_nothing())
