"""Blocks: whom a user will not hear from. Nothing here or elsewhere tells the blocked one."""

from collections.abc import Sequence

from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.kit.context import Caller
from services.social import events, pages
from services.social.errors import SelfBlock
from services.social.models import OWNER, PENDING, Block, FriendRequest, JoinRequest, Member
from services.social.relationships import lock_pair, part


async def block(connection: AsyncConnection, caller: Caller, user_id: int) -> None:
    """Ends the friendship too. Raises SelfBlock, UserNotFound."""
    if user_id == caller.user_id:
        raise SelfBlock
    standing = await lock_pair(connection, caller.user_id, user_id)
    if standing.blocks:
        return
    await connection.execute(insert(Block).values(user_id=caller.user_id, blocked_id=user_id))
    if standing.asked:
        await connection.execute(delete(FriendRequest).where(FriendRequest.id == standing.asked.id))
    await _hide_requests(connection, caller.user_id, user_id)
    if standing.friends:
        await part(connection, caller.user_id, user_id)
        await events.friend_removed(connection, caller.user_id, user_id)
    await events.user_blocked(connection, caller.user_id, user_id)


async def _hide_requests(connection: AsyncConnection, user_id: int, blocked_id: int) -> None:
    """What the blocked one has asked of the user, or of his groups, still waits as far as he can see."""
    to_user = (FriendRequest.from_id == blocked_id, FriendRequest.to_id == user_id, FriendRequest.result == PENDING)
    await connection.execute(update(FriendRequest).where(*to_user).values(hidden=True))
    owned = select(Member.group_id).where(Member.user_id == user_id, Member.role == OWNER)
    to_groups = (JoinRequest.user_id == blocked_id, JoinRequest.result == PENDING, JoinRequest.group_id.in_(owned))
    await connection.execute(update(JoinRequest).where(*to_groups).values(hidden=True))


async def unblock(connection: AsyncConnection, caller: Caller, user_id: int) -> None:
    """Brings nothing back; who was not blocked stays so. Raises UserNotFound."""
    standing = await lock_pair(connection, caller.user_id, user_id)
    if standing.blocks:
        mine = (Block.user_id == caller.user_id, Block.blocked_id == user_id)
        await connection.execute(delete(Block).where(*mine))
        await events.user_unblocked(connection, caller.user_id, user_id)


async def list_blocks(
    connection: AsyncConnection, caller: Caller, cursor: str, limit: int
) -> tuple[Sequence[int], str]:
    """Newest first. Raises CursorInvalid."""
    query = select(Block.__table__).where(Block.user_id == caller.user_id).order_by(Block.id.desc())
    if cursor:
        query = query.where(Block.id < pages.after(cursor))
    rows, next_cursor = await pages.fetch(connection, query, "id", limit=limit, cursor=cursor)
    return [row.blocked_id for row in rows], next_cursor
