"""The relation of two users."""

from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Row, and_, delete, func, insert, or_, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert as upsert

from services.kit.sql.connection import AsyncConnection
from services.social.config import SocialSettings
from services.social.errors import FriendLimitReached, UserNotFound
from services.social.locks import lock_users
from services.social.models import (
    ACCEPTED,
    EVERYONE,
    PENDING,
    Block,
    ContactSettings,
    FriendRequest,
    Friendship,
    Refusal,
)


class Standing(NamedTuple):
    """The caller's relation to a peer, with the pending requests between them, hidden or not.

    `agreed`: the caller agreed to the friendship. `refused`: the peer removed, refused or blocked the caller.
    """

    friends: bool
    agreed: bool
    blocks: bool
    blocked: bool
    refused: bool
    who_may_add: int  # the peer's setting
    asked: Row[Any] | None  # by the caller
    was_asked: Row[Any] | None  # by the peer


async def lock_pair(connection: AsyncConnection, caller_id: int, peer_id: int) -> Standing:
    """Locks both users and returns their relation. Raises UserNotFound if `peer_id` is below 1."""
    if peer_id <= 0:
        raise UserNotFound
    await lock_users(connection, caller_id, peer_id)
    query = select(
        select(Friendship.agreed).where(_is(Friendship, "friend_id", caller_id, peer_id)).scalar_subquery(),
        select(Block.id).where(_is(Block, "blocked_id", caller_id, peer_id)).exists(),
        select(Block.id).where(_is(Block, "blocked_id", peer_id, caller_id)).exists(),
        select(Refusal.user_id).where(_is(Refusal, "peer_id", peer_id, caller_id)).exists(),
        select(ContactSettings.who_may_add).where(ContactSettings.user_id == peer_id).scalar_subquery(),
    )
    agreed, blocks, blocked, refused, who_may_add = (await connection.execute(query)).one()
    pending = select(FriendRequest.__table__).where(_pending_between(caller_id, peer_id))
    requests = {row.from_id: row for row in await connection.execute(pending)}
    return Standing(
        friends=agreed is not None,
        agreed=bool(agreed),
        blocks=blocks,
        blocked=blocked,
        refused=refused,
        who_may_add=who_may_add or EVERYONE,
        asked=requests.get(caller_id),
        was_asked=requests.get(peer_id),
    )


def _is(model: Any, peer: str, user_id: int, peer_id: int) -> ColumnElement[bool]:
    return and_(model.user_id == user_id, getattr(model, peer) == peer_id)


def _pending_between(a: int, b: int) -> ColumnElement[bool]:
    pair = tuple_(FriendRequest.from_id, FriendRequest.to_id).in_([(a, b), (b, a)])
    return pair & (FriendRequest.result == PENDING)


async def befriend(
    connection: AsyncConnection,
    settings: SocialSettings,
    caller_id: int,
    peer_id: int,
    source: int,
    peer_agreed: bool = True,
) -> None:
    """Makes a locked pair friends, to which the caller agrees, and accepts the requests between them.

    Raises FriendLimitReached.
    """
    for user_id in (caller_id, peer_id):
        count = select(func.count()).select_from(Friendship).where(Friendship.user_id == user_id)
        if (await connection.execute(count)).scalar_one() >= settings.max_friends:
            raise FriendLimitReached
    pair = ((caller_id, peer_id), (peer_id, caller_id))
    rows = [
        {"user_id": user_id, "friend_id": friend_id, "source": source, "agreed": user_id == caller_id or peer_agreed}
        for user_id, friend_id in pair
    ]
    await connection.execute(insert(Friendship).values(rows))
    settled = update(FriendRequest).where(_pending_between(caller_id, peer_id))
    await connection.execute(settled.values(result=ACCEPTED, handled_at=func.now()))
    between = tuple_(Refusal.user_id, Refusal.peer_id).in_(pair)
    await connection.execute(delete(Refusal).where(between))


async def agree(connection: AsyncConnection, caller_id: int, peer_id: int) -> None:
    """Records that the caller, of a locked pair of friends, wants the friendship."""
    mine = _is(Friendship, "friend_id", caller_id, peer_id)
    await connection.execute(update(Friendship).where(mine).values(agreed=True))


async def refuse(connection: AsyncConnection, caller_id: int, peer_id: int) -> None:
    """From now on the peer, of a locked pair, has to ask the caller."""
    row = upsert(Refusal).values(user_id=caller_id, peer_id=peer_id)
    await connection.execute(row.on_conflict_do_nothing())


async def part(connection: AsyncConnection, caller_id: int, peer_id: int) -> None:
    """Ends the friendship of a locked pair, if there is one."""
    both = or_(_is(Friendship, "friend_id", caller_id, peer_id), _is(Friendship, "friend_id", peer_id, caller_id))
    await connection.execute(delete(Friendship).where(both))


async def has_blocked(connection: AsyncConnection, user_id: int, peer_id: int) -> bool:
    query = select(select(Block.id).where(_is(Block, "blocked_id", user_id, peer_id)).exists())
    return bool((await connection.execute(query)).scalar_one())
