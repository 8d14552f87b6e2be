"""How many videos the lists have: each owner's, by visibility, and the public ones."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import BigInteger, Select, bindparam, func, select, update
from sqlalchemy.dialects.postgresql import insert

from services.kit.context import Caller
from services.kit.pages import check_batch, unnest
from services.kit.sql.connection import AsyncConnection
from services.kit.sql.statements import Statement
from services.media.models import FRIENDS, PRIVATE, PUBLIC
from services.media.videos.models import PUBLIC_COUNTER_SLOTS, SLOT_SHIFT, OwnerVideoCount, PublicVideoCounter, Video

COUNTS = {
    PUBLIC: OwnerVideoCount.public_count,
    FRIENDS: OwnerVideoCount.friends_count,
    PRIVATE: OwnerVideoCount.private_count,
}


async def move_video(
    connection: AsyncConnection, video_id: int, owner_id: int, *, old: int | None = None, new: int | None = None
) -> None:
    """Counts a locked video that changed its visibility. `old` is None for a new video, `new` for a deleted one."""
    steps = {visibility: (visibility == new) - (visibility == old) for visibility in COUNTS}
    values = {COUNTS[visibility].key: COUNTS[visibility] + step for visibility, step in steps.items() if step}
    if not values:
        return
    await connection.execute(insert(OwnerVideoCount).values(owner_id=owner_id).on_conflict_do_nothing())
    await connection.execute(update(OwnerVideoCount).where(OwnerVideoCount.owner_id == owner_id).values(values))
    if steps[PUBLIC]:
        slot = (video_id >> SLOT_SHIFT) % PUBLIC_COUNTER_SLOTS
        counter = update(PublicVideoCounter).where(PublicVideoCounter.slot == slot)
        await connection.execute(counter.values(public_count=PublicVideoCounter.public_count + steps[PUBLIC]))


def _stats() -> Select[Any]:
    asked = unnest("owner_id")
    public = select(OwnerVideoCount.public_count).where(OwnerVideoCount.owner_id == asked.c.owner_id)
    likes = select(func.sum(Video.like_count)).where(Video.owner_id == asked.c.owner_id, Video.deleted_at.is_(None))
    columns: Any = (func.coalesce(each.scalar_subquery(), 0) for each in (public, likes))
    return select(*columns).select_from(asked).order_by(asked.c.place)


_total = select(func.sum(PublicVideoCounter.public_count)).scalar_subquery()
_own = select(OwnerVideoCount.friends_count + OwnerVideoCount.private_count).where(
    OwnerVideoCount.owner_id == bindparam("owner_id", type_=BigInteger)
)
STATS: Statement[Any] = Statement(_stats())
FEED: Statement[Any] = Statement(select(_total + func.coalesce(_own.scalar_subquery(), 0)))


async def get_owner_stats(connection: AsyncConnection, owner_ids: Sequence[int]) -> list[tuple[int, int]]:
    """For each, in order, their public videos and the likes of all their videos. Raises BatchTooLarge."""
    check_batch(owner_ids)
    return [(videos, int(likes)) for videos, likes in await connection.fetch(STATS, owner_id=list(owner_ids))]


async def count_feed(connection: AsyncConnection, viewer: Caller) -> int:
    """The number of public videos, plus the viewer's own that are not public."""
    ((total,),) = await connection.fetch(FEED, owner_id=viewer.user_id)
    return int(total)


async def count_owned(connection: AsyncConnection, owner_id: int, visibilities: Sequence[int]) -> int:
    """The number of a user's videos of these visibilities."""
    query = select(OwnerVideoCount.__table__).where(OwnerVideoCount.owner_id == owner_id)
    counts = (await connection.execute(query)).one_or_none()
    return sum(getattr(counts, COUNTS[visibility].key) for visibility in visibilities) if counts else 0
