"""Who may see a video: the one rule, as SQL, for lists, counts, likes, comments, search and bytes.

Friendships and blocks are the social service's. They are kept here too (people.py), so that a page is one
statement; what its events tell arrives within milliseconds.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Row,
    Select,
    SQLColumnExpression,
    and_,
    exists,
    func,
    literal,
    not_,
    or_,
    select,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from services.kit.context import Caller
from services.media.errors import VideoNotFound
from services.media.models import FRIENDS, PRIVATE, PUBLIC
from services.media.pages import check_batch, unnest
from services.media.videos.models import ADMIN, Shelf, Standing, Video

ALL = (PUBLIC, FRIENDS, PRIVATE)
MAX_HIDDEN = 1_000  # owners told to a cache; whoever is apart from more of them goes without the cache

is_live = Video.deleted_at.is_(None)
is_apart = or_(Standing.blocks, Standing.blocked)


class Audience(NamedTuple):
    """What a viewer does not see of what is public, and whether he sees more than that."""

    hidden_owner_ids: Sequence[int]
    personal: bool


def visible_to(viewer: Caller) -> ColumnElement[bool]:
    """Whether he, or nobody, may see the Video."""
    if viewer.role >= ADMIN:
        return is_live
    if not viewer.user_id:
        return and_(is_live, Video.visibility == PUBLIC)
    return visible(literal(viewer.user_id, BigInteger))


def visible(viewer_id: SQLColumnExpression[int]) -> ColumnElement[bool]:
    """As `visible_to`, of users in a column, none of them as an admin."""
    between = (Standing.user_id == viewer_id, Standing.peer_id == Video.owner_id)
    is_friend, are_apart = exists().where(*between, Standing.friend), exists().where(*between, is_apart)
    is_for_him = or_(Video.visibility == PUBLIC, and_(Video.visibility == FRIENDS, is_friend))
    return and_(is_live, or_(Video.owner_id == viewer_id, and_(is_for_him, not_(are_apart))))


async def require_visible(connection: AsyncConnection, viewer: Caller, video_id: int) -> Row[Any]:
    """The video. Raises VideoNotFound."""
    query: Select[Any] = select(Video.__table__).where(Video.id == video_id, visible_to(viewer))
    video: Row[Any] | None = (await connection.execute(query)).one_or_none()
    if video is None:
        raise VideoNotFound
    return video


async def lock_visible(connection: AsyncConnection, caller: Caller, video_id: int) -> Row[Any]:
    """The video, locked. Raises VideoNotFound."""
    query = select(Video.__table__).where(Video.id == video_id, visible_to(caller)).with_for_update(key_share=True)
    video: Row[Any] | None = (await connection.execute(query)).one_or_none()
    if video is None:
        raise VideoNotFound
    return video


async def kinds_for(connection: AsyncConnection, viewer: Caller, owner_id: int) -> tuple[int, ...]:
    """The visibilities of an owner's videos that the viewer may see."""
    if viewer.user_id == owner_id or viewer.role >= ADMIN:
        return ALL
    query = select(Standing.friend, is_apart).where(Standing.user_id == viewer.user_id, Standing.peer_id == owner_id)
    is_friend, are_apart = (await connection.execute(query)).one_or_none() or (False, False)
    if are_apart:
        return ()
    return (PUBLIC, FRIENDS) if is_friend else (PUBLIC,)


async def get_audiences(connection: AsyncConnection, user_ids: Sequence[int]) -> list[Audience]:
    """In order. Raises BatchTooLarge."""
    check_batch(user_ids)
    asked = unnest(user_id=user_ids)
    hidden = select(Standing.peer_id).where(Standing.user_id == asked.c.user_id, is_apart).limit(MAX_HIDDEN + 1)
    own = exists().where(Shelf.owner_id == asked.c.user_id, Shelf.friends_count + Shelf.private_count > 0)
    friends = exists().where(
        Standing.user_id == asked.c.user_id,
        Standing.friend,
        Shelf.owner_id == Standing.peer_id,
        Shelf.friends_count > 0,
    )
    columns = (func.array(hidden.correlate(asked).scalar_subquery()), or_(own, friends))
    rows = await connection.execute(select(*columns).select_from(asked).order_by(asked.c.place))
    return [Audience(ids[:MAX_HIDDEN], personal or len(ids) > MAX_HIDDEN) for ids, personal in rows]
