"""Who follows a user, whom they follow, and how many."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, Select, and_, bindparam, exists, func, not_, or_, select

from protos.social.v1.follows_pb2 import FOLLOW_REQUESTS, FOLLOWERS, FOLLOWING
from services.kit import pages
from services.kit.context import Caller
from services.kit.roles import is_admin
from services.kit.sql.connection import AsyncConnection
from services.kit.sql.statements import Statement
from services.social.errors import FollowsHidden
from services.social.follows.models import Follow, FollowCount
from services.social.models import ASK, EVERYONE, Block, ContactSettings
from services.social.queries import ME, paged, probe, read_page

OWNER, BEFORE = (bindparam(name, type_=BigInteger) for name in ("owner", "before"))


class ListedFollow(NamedTuple):
    id: int
    peer_id: int


class Shown(NamedTuple):
    shown: bool


async def list_follows(
    connection: AsyncConnection, caller: Caller, which: int, user_id: int, cursor: str, limit: int
) -> tuple[Sequence[int], str]:
    """The last first. Raises FollowsHidden, CursorInvalid."""
    owner = caller.user_id if which == FOLLOW_REQUESTS else user_id or caller.user_id
    if owner != caller.user_id and not is_admin(caller.role):
        await _require_shown(connection, caller, owner)
    statement = LISTS.get(which, LISTS[FOLLOWING])
    rows, next_cursor = await read_page(
        connection, statement, limit, cursor, me=caller.user_id, owner=owner, before=pages.id_before(cursor)
    )
    return [row.peer_id for row in rows], next_cursor


async def _require_shown(connection: AsyncConnection, caller: Caller, owner_id: int) -> None:
    (row,) = await connection.fetch(SHOWN, me=caller.user_id, owner=owner_id)
    if not row.shown:
        raise FollowsHidden


def _are_apart(user: Any) -> Any:
    """Each way is an index lookup of its own."""
    mine = probe(Block.id, Block.user_id == ME, Block.blocked_id == user)
    theirs = probe(Block.id, Block.user_id == user, Block.blocked_id == ME)
    return or_(mine.is_not(None), theirs.is_not(None))


def _shown() -> Select[Any]:
    follows = exists().where(Follow.user_id == ME, Follow.followed_id == OWNER, not_(Follow.pending))
    setting = probe(ContactSettings.who_may_follow, ContactSettings.user_id == OWNER)
    is_open = or_(func.coalesce(setting, EVERYONE) != ASK, follows)
    return select(and_(is_open, not_(_are_apart(OWNER))).label("shown"))


def _listing(mine: Any, peer: Any, waits: Any) -> Statement[ListedFollow]:
    query = select(Follow.id, peer.label("peer_id")).where(mine == OWNER, waits, Follow.id < BEFORE)
    return Statement(paged(query.where(not_(_are_apart(peer))).order_by(Follow.id.desc())), ListedFollow)


SHOWN: Statement[Shown] = Statement(_shown(), Shown)
LISTS: dict[int, Statement[ListedFollow]] = {
    FOLLOWING: _listing(Follow.user_id, Follow.followed_id, not_(Follow.pending)),
    FOLLOWERS: _listing(Follow.followed_id, Follow.user_id, not_(Follow.pending)),
    FOLLOW_REQUESTS: _listing(Follow.followed_id, Follow.user_id, Follow.pending),
}


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
