"""How many videos there are: a user's, by visibility, and the public ones of all, in slots that spread the lock."""

from collections.abc import Sequence

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from services.kit.context import Caller
from services.media.models import FRIENDS, PRIVATE, PUBLIC
from services.media.videos.models import SLOTS, Shelf, Tally

COUNTS = {PUBLIC: Shelf.public_count, FRIENDS: Shelf.friends_count, PRIVATE: Shelf.private_count}


async def move_video(
    connection: AsyncConnection, video_id: int, owner_id: int, *, gone: int | None = None, come: int | None = None
) -> None:
    """Counts a locked video out of one visibility and into another; None is for what is deleted, or new."""
    steps = {kind: (kind == come) - (kind == gone) for kind in COUNTS}
    values = {COUNTS[kind].key: COUNTS[kind] + step for kind, step in steps.items() if step}
    if not values:
        return
    await connection.execute(insert(Shelf).values(owner_id=owner_id).on_conflict_do_nothing())
    await connection.execute(update(Shelf).where(Shelf.owner_id == owner_id).values(values))
    if steps[PUBLIC]:
        slot = update(Tally).where(Tally.slot == (video_id >> 12) % SLOTS)
        await connection.execute(slot.values(public_count=Tally.public_count + steps[PUBLIC]))


async def count_feed(connection: AsyncConnection, viewer: Caller) -> int:
    """All that is public, and what else is the viewer's own."""
    total = select(func.sum(Tally.public_count)).scalar_subquery()
    own = select(Shelf.friends_count + Shelf.private_count).where(Shelf.owner_id == viewer.user_id).scalar_subquery()
    return int((await connection.execute(select(total + func.coalesce(own, 0)))).scalar_one())


async def count_owned(connection: AsyncConnection, owner_id: int, visibilities: Sequence[int]) -> int:
    """A user's videos of these kinds."""
    query = select(Shelf.__table__).where(Shelf.owner_id == owner_id)
    shelf = (await connection.execute(query)).one_or_none()
    return sum(getattr(shelf, COUNTS[kind].key) for kind in visibilities) if shelf else 0
