"""Who may see a video: one rule in SQL, used by lists, counts, likes, comments, search and files.

Friendships and blocks belong to the social service. relationships/projection.py keeps a copy, so that a page is one
statement; the copy follows the social service within milliseconds.
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
    bindparam,
    exists,
    func,
    literal,
    not_,
    or_,
    select,
)

from services.kit.context import ANONYMOUS, Caller
from services.kit.pages import check_batch, unnest
from services.kit.roles import is_admin
from services.kit.sql.connection import AsyncConnection
from services.kit.sql.statements import Statement
from services.media.errors import VideoNotFound
from services.media.models import FRIENDS, HIDDEN, PRIVATE, PUBLIC
from services.media.relationships.models import Relationship
from services.media.videos.models import OwnerVideoCount, Video

ALL_VISIBILITIES = (PUBLIC, FRIENDS, PRIVATE)
MAX_HIDDEN = 1_000  # owners listed for a cache; a viewer with more blocks is not served from it

is_live = Video.deleted_at.is_(None)
is_shown = Video.visibility != HIDDEN  # else only admins see it, by its id
is_apart = or_(Relationship.blocks, Relationship.blocked)


class ViewerScope(NamedTuple):
    """Which owners' public videos a viewer does not see; `personal`: whether they see videos that are not public."""

    hidden_owner_ids: Sequence[int]
    personal: bool


def visible_to(viewer: Caller) -> ColumnElement[bool]:
    """Whether the viewer may see the Video; an anonymous viewer has no user id."""
    if is_admin(viewer.role):
        return is_live
    if not viewer.user_id:
        return and_(is_live, Video.visibility == PUBLIC)
    return visible(literal(viewer.user_id, BigInteger))


def visible(viewer_id: SQLColumnExpression[int]) -> ColumnElement[bool]:
    """As `visible_to`, for users in a column, none of them an admin."""
    between = (Relationship.user_id == viewer_id, Relationship.peer_id == Video.owner_id)
    is_friend, are_apart = exists().where(*between, Relationship.friend), exists().where(*between, is_apart)
    is_shared = or_(Video.visibility == PUBLIC, and_(Video.visibility == FRIENDS, is_friend))
    is_own = and_(Video.owner_id == viewer_id, is_shown)
    return and_(is_live, or_(is_own, and_(is_shared, not_(are_apart))))


class ForViewers:
    """Constant statements of what `visible_to` lets a viewer see in `query`, which reads Videos."""

    def __init__(self, query: Select[Any]) -> None:
        self._for_admins = Statement[Any](query.where(is_live))
        self._for_anonymous = Statement[Any](query.where(visible_to(ANONYMOUS)))
        self._for_users = Statement[Any](query.where(visible(bindparam("viewer_id", type_=BigInteger))))

    async def fetch(self, connection: AsyncConnection, viewer: Caller, **parameters: Any) -> list[Any]:
        if is_admin(viewer.role):
            return await connection.fetch(self._for_admins, **parameters)
        if not viewer.user_id:
            return await connection.fetch(self._for_anonymous, **parameters)
        return await connection.fetch(self._for_users, viewer_id=viewer.user_id, **parameters)


VISIBLE = ForViewers(select(Video.__table__).where(Video.id == bindparam("id", type_=BigInteger)))


async def require_visible(connection: AsyncConnection, viewer: Caller, video_id: int) -> Any:
    """Returns the video. Raises VideoNotFound."""
    (video,) = await VISIBLE.fetch(connection, viewer, id=video_id) or (None,)
    if video is None:
        raise VideoNotFound
    return video


async def lock_visible(connection: AsyncConnection, caller: Caller, video_id: int, or_own: bool = False) -> Row[Any]:
    """Returns the video, locked; with `or_own` also the caller's own that is hidden. Raises VideoNotFound."""
    own = and_(is_live, Video.owner_id == caller.user_id)
    wanted = or_(visible_to(caller), own) if or_own else visible_to(caller)
    query = select(Video.__table__).where(Video.id == video_id, wanted).with_for_update(key_share=True)
    video: Row[Any] | None = (await connection.execute(query)).one_or_none()
    if video is None:
        raise VideoNotFound
    return video


async def visibilities_for(connection: AsyncConnection, viewer: Caller, owner_id: int) -> tuple[int, ...]:
    """Which visibilities of an owner's videos the viewer may see."""
    if viewer.user_id == owner_id or is_admin(viewer.role):
        return ALL_VISIBILITIES
    query = select(Relationship.friend, is_apart).where(
        Relationship.user_id == viewer.user_id, Relationship.peer_id == owner_id
    )
    is_friend, are_apart = (await connection.execute(query)).one_or_none() or (False, False)
    if are_apart:
        return ()
    return (PUBLIC, FRIENDS) if is_friend else (PUBLIC,)


def _scopes() -> Select[Any]:
    asked = unnest("user_id")
    hidden = select(Relationship.peer_id).where(Relationship.user_id == asked.c.user_id, is_apart).limit(MAX_HIDDEN + 1)
    own = exists().where(
        OwnerVideoCount.owner_id == asked.c.user_id, OwnerVideoCount.friends_count + OwnerVideoCount.private_count > 0
    )
    friends = exists().where(
        Relationship.user_id == asked.c.user_id,
        Relationship.friend,
        OwnerVideoCount.owner_id == Relationship.peer_id,
        OwnerVideoCount.friends_count > 0,
    )
    columns: Any = (func.array(hidden.correlate(asked).scalar_subquery()), or_(own, friends))
    return select(*columns).select_from(asked).order_by(asked.c.place)


SCOPES: Statement[Any] = Statement(_scopes())


async def get_viewer_scopes(connection: AsyncConnection, user_ids: Sequence[int]) -> list[ViewerScope]:
    """In the order of `user_ids`. Raises BatchTooLarge."""
    check_batch(user_ids)
    rows = await connection.fetch(SCOPES, user_id=list(user_ids))
    return [ViewerScope(ids[:MAX_HIDDEN], personal or len(ids) > MAX_HIDDEN) for ids, personal in rows]
