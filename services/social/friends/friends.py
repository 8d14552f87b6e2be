"""Friends: the caller's list, and the relations between users."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import Select, or_, select, update
from sqlalchemy.orm import aliased

from services.kit import pages
from services.kit.context import Caller
from services.kit.sql.connection import AsyncConnection
from services.kit.sql.statements import Statement
from services.social import events
from services.social.errors import FriendNotFound
from services.social.friends.friendships import lock_pair, part, refuse
from services.social.friends.settings import setting_of, shows_last_login
from services.social.models import NOBODY, Block, Friendship
from services.social.queries import AFTER, ME, milliseconds_of, paged, probe, read_page
from services.social.validation import check_remark


class ListedFriend(NamedTuple):
    """`since` in Unix milliseconds."""

    id: int
    friend_id: int
    remark: str
    since: int
    shows_last_login: bool


class FriendId(NamedTuple):
    user_id: int


FRIENDS: Statement[ListedFriend] = Statement(
    paged(
        select(
            Friendship.id,
            Friendship.friend_id,
            Friendship.remark,
            milliseconds_of(Friendship.created_at).label("since"),
            shows_last_login(Friendship.friend_id, ME).label("shows_last_login"),
        )
        .where(Friendship.user_id == ME)
        .where(Friendship.id > AFTER)
        .order_by(Friendship.id)
    ),
    ListedFriend,
)


async def list_friends(
    connection: AsyncConnection, caller: Caller, cursor: str, limit: int, offset: int
) -> tuple[Sequence[ListedFriend], str]:
    """The caller's friends, by relation id. Raises CursorInvalid."""
    return await read_page(connection, FRIENDS, limit, cursor, offset, me=caller.user_id, after=pages.id_after(cursor))


async def list_friend_ids(
    connection: AsyncConnection, caller: Caller, only_agreed: bool, only_present: bool
) -> Sequence[int]:
    """The caller's friends, by id.

    `only_agreed`: only those who agreed to the friendship. `only_present`: of these, only those who show friends their
    presence.
    """
    statement = PRESENT_IDS if only_present else AGREED_IDS if only_agreed else FRIEND_IDS
    return [row.user_id for row in await connection.fetch(statement, me=caller.user_id)]


async def delete_friend(connection: AsyncConnection, caller: Caller, user_id: int) -> None:
    """Ends a friendship. The other user has to ask before they are friends again.

    Does nothing without a friendship. Raises UserNotFound.
    """
    standing = await lock_pair(connection, caller.user_id, user_id)
    if standing.friends:
        await part(connection, caller.user_id, user_id)
        await refuse(connection, caller.user_id, user_id)
        await events.friend_removed(connection, caller.user_id, user_id)


async def set_remark(connection: AsyncConnection, caller: Caller, user_id: int, remark: str) -> None:
    """Sets the caller's private name for a friend. Raises RemarkInvalid, FriendNotFound."""
    check_remark(remark)
    mine = (Friendship.user_id == caller.user_id, Friendship.friend_id == user_id)
    if not (await connection.execute(update(Friendship).where(*mine).values(remark=remark))).rowcount:
        raise FriendNotFound


def _ids() -> tuple[Statement[FriendId], Statement[FriendId], Statement[FriendId]]:
    me, friend, theirs = Friendship.user_id, Friendship.friend_id, aliased(Friendship)
    every = select(friend.label("user_id")).where(me == ME).order_by(friend)
    agreed = every.join(theirs, (theirs.user_id == friend) & (theirs.friend_id == me)).where(theirs.agreed)
    present = agreed.where(setting_of(friend, "who_sees_presence") != NOBODY)
    return Statement(every, FriendId), Statement(agreed, FriendId), Statement(present, FriendId)


def _relations() -> Select[Any]:
    asked = pages.unnest("user_id")
    user = asked.c.user_id
    remark = probe(Friendship.remark, Friendship.user_id == ME, Friendship.friend_id == user)
    blocked = probe(Block.id, Block.user_id == ME, Block.blocked_id == user)
    columns: tuple[Any, ...] = (user, remark.label("remark"), blocked.is_not(None).label("blocked"))
    return select(*columns).order_by(asked.c.place)


def _checked() -> Select[Any]:
    asked = pages.unnest("user_id", "peer_id")
    user, peer = asked.c.user_id, asked.c.peer_id
    agreed = probe(Friendship.agreed, Friendship.user_id == user, Friendship.friend_id == peer)
    peer_agreed = probe(Friendship.agreed, Friendship.user_id == peer, Friendship.friend_id == user)
    blocks = probe(Block.id, Block.user_id == user, Block.blocked_id == peer)
    blocked = probe(Block.id, Block.user_id == peer, Block.blocked_id == user)
    columns: tuple[Any, ...] = (
        agreed.is_not(None).label("friend"),
        or_(blocks.is_not(None), blocked.is_not(None)).label("blocked"),
        agreed.label("agreed"),
        peer_agreed.label("peer_agreed"),
        blocks.is_not(None).label("blocks"),
        setting_of(peer, "who_sees_presence").label("who_sees_presence"),
        setting_of(peer, "who_sees_last_login").label("who_sees_last_login"),
        setting_of(peer, "who_may_mention").label("who_may_mention"),
    )
    return select(*columns).select_from(asked).order_by(asked.c.place)


FRIEND_IDS, AGREED_IDS, PRESENT_IDS = _ids()
RELATIONS: Statement[Any] = Statement(_relations())
CHECKED: Statement[Any] = Statement(_checked())


async def get_relations(connection: AsyncConnection, caller: Caller, user_ids: Sequence[int]) -> Sequence[Any]:
    """The caller's relation to each of `user_ids`, in order. Raises BatchTooLarge."""
    pages.check_batch(user_ids)
    return await connection.fetch(RELATIONS, user_id=list(user_ids), me=caller.user_id)


async def check_friends(connection: AsyncConnection, pairs: Sequence[tuple[int, int]]) -> Sequence[Any]:
    """The relation of each pair, in order. Raises BatchTooLarge.

    It says whether the two are friends, which of them agreed, whether either blocks the other, whether the first does,
    and what of the second is shown to whom.
    """
    pages.check_batch(pairs)
    users, peers = [user for user, _ in pairs], [peer for _, peer in pairs]
    return await connection.fetch(CHECKED, user_id=users, peer_id=peers)
