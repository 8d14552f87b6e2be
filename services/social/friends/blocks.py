"""Blocks: a user who blocks another no longer hears from them. The blocked user is never told."""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import BigInteger, bindparam, delete, insert, select, update

from services.kit import pages
from services.kit.context import Caller
from services.kit.roles import GROUP_OWNER
from services.kit.sql.connection import AsyncConnection
from services.kit.sql.statements import Statement
from services.social import events
from services.social.errors import SelfBlock
from services.social.follows import follows
from services.social.friends.friendships import lock_pair, part, refuse
from services.social.models import PENDING, Block, FriendRequest, JoinRequest, Member
from services.social.queries import ME, paged, read_page


class ListedBlock(NamedTuple):
    id: int
    blocked_id: int


_mine = select(Block.id, Block.blocked_id).where(Block.user_id == ME, Block.id < bindparam("before", type_=BigInteger))
BLOCKS: Statement[ListedBlock] = Statement(paged(_mine.order_by(Block.id.desc())), ListedBlock)


async def block(connection: AsyncConnection, caller: Caller, user_id: int) -> None:
    """Blocks a user, and ends their friendship and follows. After an unblock the user has to ask to be friends again.

    Raises SelfBlock, UserNotFound.
    """
    if user_id == caller.user_id:
        raise SelfBlock
    standing = await lock_pair(connection, caller.user_id, user_id)
    if standing.blocks:
        return
    await connection.execute(insert(Block).values(user_id=caller.user_id, blocked_id=user_id))
    await refuse(connection, caller.user_id, user_id)
    if standing.asked:
        await connection.execute(delete(FriendRequest).where(FriendRequest.id == standing.asked.id))
    await _hide_requests(connection, caller.user_id, user_id)
    await follows.part(connection, caller.user_id, user_id)
    if standing.friends:
        await part(connection, caller.user_id, user_id)
        await events.friend_removed(connection, caller.user_id, user_id)
    await events.user_blocked(connection, caller.user_id, user_id)


async def _hide_requests(connection: AsyncConnection, user_id: int, blocked_id: int) -> None:
    """Hides the blocked user's pending requests to the user, and to the groups that the user owns.

    To the blocked user they still look pending.
    """
    to_user = (FriendRequest.from_id == blocked_id, FriendRequest.to_id == user_id, FriendRequest.result == PENDING)
    await connection.execute(update(FriendRequest).where(*to_user).values(hidden=True))
    owned = select(Member.group_id).where(Member.user_id == user_id, Member.role == GROUP_OWNER)
    to_groups = (JoinRequest.user_id == blocked_id, JoinRequest.result == PENDING, JoinRequest.group_id.in_(owned))
    await connection.execute(update(JoinRequest).where(*to_groups).values(hidden=True))


async def unblock(connection: AsyncConnection, caller: Caller, user_id: int) -> None:
    """Restores neither the friendship nor the requests. No error if the user was not blocked. Raises UserNotFound."""
    standing = await lock_pair(connection, caller.user_id, user_id)
    if standing.blocks:
        mine = (Block.user_id == caller.user_id, Block.blocked_id == user_id)
        await connection.execute(delete(Block).where(*mine))
        await events.user_unblocked(connection, caller.user_id, user_id)


async def list_blocks(
    connection: AsyncConnection, caller: Caller, cursor: str, limit: int
) -> tuple[Sequence[int], str]:
    """The ids of the users that the caller blocked, newest first. Raises CursorInvalid."""
    rows, next_cursor = await read_page(
        connection, BLOCKS, limit, cursor, me=caller.user_id, before=pages.id_before(cursor)
    )
    return [row.blocked_id for row in rows], next_cursor
