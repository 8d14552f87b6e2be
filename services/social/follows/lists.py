"""Who follows a user, whom they follow, and how many."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Select, and_, exists, func, not_, or_, select

from protos.social.v1.follows_pb2 import FOLLOW_REQUESTS, FOLLOWERS
from services.kit import pages
from services.kit.context import Caller
from services.kit.roles import is_admin
from services.kit.sql.connection import AsyncConnection
from services.kit.sql.statements import Statement
from services.social.errors import FollowsHidden
from services.social.follows.models import Follow, FollowCount
from services.social.models import ASK, EVERYONE, Block, ContactSettings
from services.social.queries import probe


async def list_follows(
    connection: AsyncConnection, caller: Caller, which: int, user_id: int, cursor: str, limit: int
) -> tuple[Sequence[int], str]:
    """The last first. Raises FollowsHidden, CursorInvalid."""
    owner = caller.user_id if which == FOLLOW_REQUESTS else user_id or caller.user_id
    if owner != caller.user_id and not is_admin(caller.role):
        await _require_shown(connection, caller, owner)
    mine, peer = (
        (Follow.user_id, Follow.followed_id)
        if which not in (FOLLOWERS, FOLLOW_REQUESTS)
        else (Follow.followed_id, Follow.user_id)
    )
    waits = Follow.pending if which == FOLLOW_REQUESTS else not_(Follow.pending)
    shown = not_(_are_apart(peer, caller.user_id))
    query: Any = select(Follow.id, peer.label("peer_id")).where(
        mine == owner, waits, Follow.id < pages.id_before(cursor)
    )
    query = query.where(shown).order_by(Follow.id.desc())
    rows, next_cursor = await pages.fetch(connection, query, "id", limit=limit, cursor=cursor)
    return [row.peer_id for row in rows], next_cursor


async def _require_shown(connection: AsyncConnection, caller: Caller, owner_id: int) -> None:
    follows = exists().where(Follow.user_id == caller.user_id, Follow.followed_id == owner_id, not_(Follow.pending))
    setting = probe(ContactSettings.who_may_follow, ContactSettings.user_id == owner_id)
    is_open = or_(func.coalesce(setting, EVERYONE) != ASK, follows)
    query = select(and_(is_open, not_(_are_apart(owner_id, caller.user_id))))
    if not (await connection.execute(query)).scalar_one():
        raise FollowsHidden


def _are_apart(user: Any, peer_id: int) -> Any:
    """Each way is an index lookup of its own."""
    mine = probe(Block.id, Block.user_id == peer_id, Block.blocked_id == user)
    theirs = probe(Block.id, Block.user_id == user, Block.blocked_id == peer_id)
    return or_(mine.is_not(None), theirs.is_not(None))


def _counts() -> Select[Any]:
    asked = pages.unnest("user_id")
    columns: Any = (
        func.coalesce(column, 0).label(column.key) for column in (FollowCount.followers, FollowCount.following)
    )
    counted = asked.outerjoin(FollowCount, FollowCount.user_id == asked.c.user_id)
    return select(*columns).select_from(counted).order_by(asked.c.place)


def _states() -> Select[Any]:
    asked = pages.unnest("viewer_id", "user_id")
    viewer, user = asked.c.viewer_id, asked.c.user_id
    mine = probe(Follow.pending, Follow.user_id == viewer, Follow.followed_id == user)
    theirs = probe(Follow.pending, Follow.user_id == user, Follow.followed_id == viewer)
    return select(mine.label("mine"), theirs.label("theirs")).select_from(asked).order_by(asked.c.place)


COUNTS: Statement[Any] = Statement(_counts())
STATES: Statement[Any] = Statement(_states())


async def get_counts(connection: AsyncConnection, user_ids: Sequence[int]) -> Sequence[Any]:
    """In order. Raises BatchTooLarge."""
    pages.check_batch(user_ids)
    return await connection.fetch(COUNTS, user_id=list(user_ids))


async def get_states(connection: AsyncConnection, viewers: Sequence[int], user_ids: Sequence[int]) -> Sequence[Any]:
    """Of each user, as the viewer at the same place sees it, in order. Raises BatchTooLarge."""
    pages.check_batch(user_ids)
    return await connection.fetch(STATES, viewer_id=list(viewers), user_id=list(user_ids))
