"""The relation of two users, and the lock under which it changes.

All code takes locks in the same order, so there is no deadlock: users by id, groups by id, then rows of invitations
before rows of join requests.
"""

from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Row, and_, delete, func, insert, or_, select, text, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.social.config import SocialSettings
from services.social.errors import FriendLimitReached, UserNotFound
from services.social.models import ACCEPTED, PENDING, Block, FriendRequest, Friendship

# The key is the user's id, which is far larger than the kit's own lock numbers. unnest keeps the order.
LOCK = text("SELECT pg_advisory_xact_lock(id) FROM unnest(CAST(:ids AS bigint[])) AS id")


class Standing(NamedTuple):
    """The caller's relation to a peer, with the pending requests between them, hidden or not."""

    friends: bool
    blocks: bool
    blocked: bool
    asked: Row[Any] | None  # by the caller
    was_asked: Row[Any] | None  # by the peer


async def lock_users(connection: AsyncConnection, *user_ids: int) -> None:
    """Locks each user until the transaction ends. Users and not pairs are locked because a user's friends and requests
    are limited in number, and because nothing may change for an account while it is deleted."""
    await connection.execute(LOCK, {"ids": sorted(user_ids)})


async def lock_pair(connection: AsyncConnection, caller_id: int, peer_id: int) -> Standing:
    """Locks both users and returns their relation. Raises UserNotFound if `peer_id` is below 1."""
    if peer_id <= 0:
        raise UserNotFound
    await lock_users(connection, caller_id, peer_id)
    query = select(
        select(Friendship.id).where(_is(Friendship, "friend_id", caller_id, peer_id)).exists(),
        select(Block.id).where(_is(Block, "blocked_id", caller_id, peer_id)).exists(),
        select(Block.id).where(_is(Block, "blocked_id", peer_id, caller_id)).exists(),
    )
    friends, blocks, blocked = (await connection.execute(query)).one()
    pending = select(FriendRequest.__table__).where(_pending_between(caller_id, peer_id))
    requests = {row.from_id: row for row in await connection.execute(pending)}
    return Standing(friends, blocks, blocked, requests.get(caller_id), requests.get(peer_id))


def _is(model: Any, peer: str, user_id: int, peer_id: int) -> ColumnElement[bool]:
    return and_(model.user_id == user_id, getattr(model, peer) == peer_id)


def _pending_between(a: int, b: int) -> ColumnElement[bool]:
    pair = tuple_(FriendRequest.from_id, FriendRequest.to_id).in_([(a, b), (b, a)])
    return pair & (FriendRequest.result == PENDING)


async def befriend(
    connection: AsyncConnection, settings: SocialSettings, caller_id: int, peer_id: int, source: int
) -> None:
    """Makes a locked pair friends and accepts the requests between them. Raises FriendLimitReached."""
    for user_id in (caller_id, peer_id):
        count = select(func.count()).select_from(Friendship).where(Friendship.user_id == user_id)
        if (await connection.execute(count)).scalar_one() >= settings.max_friends:
            raise FriendLimitReached
    pair = ((caller_id, peer_id), (peer_id, caller_id))
    rows = [{"user_id": user_id, "friend_id": friend_id, "source": source} for user_id, friend_id in pair]
    await connection.execute(insert(Friendship).values(rows))
    settled = update(FriendRequest).where(_pending_between(caller_id, peer_id))
    await connection.execute(settled.values(result=ACCEPTED, handled_at=func.now()))


async def part(connection: AsyncConnection, caller_id: int, peer_id: int) -> None:
    """Ends the friendship of a locked pair, if there is one."""
    both = or_(_is(Friendship, "friend_id", caller_id, peer_id), _is(Friendship, "friend_id", peer_id, caller_id))
    await connection.execute(delete(Friendship).where(both))


async def has_blocked(connection: AsyncConnection, user_id: int, peer_id: int) -> bool:
    query = select(select(Block.id).where(_is(Block, "blocked_id", user_id, peer_id)).exists())
    return bool((await connection.execute(query)).scalar_one())
