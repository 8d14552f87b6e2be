"""Friend requests, and adding a friend without one.

A request to a user who blocked its sender, or who lets nobody add them, is stored hidden: its receiver never sees it.
Each side of a friendship agrees for itself (docs/contract/api.md, "Consent, blocks, privacy").
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import func, insert, select, update

from services.kit import pages
from services.kit.context import Caller
from services.kit.sql.connection import AsyncConnection
from services.social import events
from services.social.config import SocialSettings
from services.social.errors import (
    AlreadyFriends,
    Blocked,
    RequestHandled,
    RequestLimitReached,
    RequestNotFound,
    ResultInvalid,
    SelfFriend,
)
from services.social.friends.friendships import Standing, agree, befriend, lock_pair, refuse
from services.social.models import ACCEPTED, ADDED, EVERYONE, NOBODY, PENDING, REFUSED, REQUESTED, FriendRequest
from services.social.queries import merge
from services.social.validation import check_message, parse_time

BOTH, MINE, TO_ME = range(3)  # directions


async def request_friend(
    connection: AsyncConnection, settings: SocialSettings, caller: Caller, user_id: int, message: str, requested_at: int
) -> None:
    """Sends a request, accepts the one that the other user sent, or agrees to the friendship that they began.

    Raises MessageInvalid, SelfFriend, UserNotFound, Blocked, AlreadyFriends, FriendLimitReached, RequestLimitReached.
    """
    check_message(message)
    standing = await _lock_for_friendship(connection, caller, user_id)
    if standing.friends:
        await _agree(connection, caller.user_id, user_id)
    elif standing.was_asked and not standing.blocked:
        await befriend(connection, settings, caller.user_id, user_id, REQUESTED)
        await events.friend_accepted(connection, standing.was_asked)
    else:
        await _file(connection, settings, caller, user_id, standing, message, requested_at)


async def add_friend(connection: AsyncConnection, settings: SocialSettings, caller: Caller, user_id: int) -> None:
    """Befriends a user at once, which only the caller agrees to, or agrees to the friendship that the user began.

    Files a request instead if the user refused, removed or blocked the caller, or wants to be asked.

    Raises SelfFriend, UserNotFound, Blocked, AlreadyFriends, FriendLimitReached, RequestLimitReached.
    """
    standing = await _lock_for_friendship(connection, caller, user_id)
    if standing.friends:
        await _agree(connection, caller.user_id, user_id)
    elif _has_to_ask(standing):
        await _file(connection, settings, caller, user_id, standing, "", 0)
    else:
        peer_agreed = standing.was_asked is not None
        await befriend(connection, settings, caller.user_id, user_id, ADDED, peer_agreed)
        await events.friend_added(connection, caller.user_id, user_id, peer_agreed)


def _has_to_ask(standing: Standing) -> bool:
    """Whether an add has to wait for the peer's answer. A peer who asked the caller has answered already."""
    if standing.blocked:
        return True
    return standing.was_asked is None and (standing.refused or standing.who_may_add != EVERYONE)


async def agree_to_friend(connection: AsyncConnection, user_id: int, peer_id: int) -> None:
    """The user agrees to the friendship that the peer began; does nothing without one. Raises UserNotFound."""
    standing = await lock_pair(connection, user_id, peer_id)
    if standing.friends and not standing.agreed:
        await _agree(connection, user_id, peer_id)


async def _agree(connection: AsyncConnection, user_id: int, peer_id: int) -> None:
    await agree(connection, user_id, peer_id)
    await events.friend_agreed(connection, user_id, peer_id)


async def _lock_for_friendship(connection: AsyncConnection, caller: Caller, user_id: int) -> Standing:
    """Locks the two, who may be friends if the caller has not agreed yet.

    Raises SelfFriend, UserNotFound, Blocked, AlreadyFriends.
    """
    if user_id == caller.user_id:
        raise SelfFriend
    standing = await lock_pair(connection, caller.user_id, user_id)
    if standing.blocks:
        raise Blocked
    if standing.agreed:
        raise AlreadyFriends
    return standing


async def _file(
    connection: AsyncConnection,
    settings: SocialSettings,
    caller: Caller,
    user_id: int,
    standing: Standing,
    message: str,
    requested_at: int,
) -> None:
    """Stores a pending request. A hidden one becomes visible if the caller asks again and nothing hides it now."""
    hidden = standing.blocked or standing.who_may_add == NOBODY
    values = {"message": message, "requested_at": parse_time(requested_at), "hidden": hidden}
    if standing.asked is None:
        await _require_room(connection, settings, caller)
        statement: Any = insert(FriendRequest).values(from_id=caller.user_id, to_id=user_id, **values)
    elif standing.asked.hidden and not hidden:
        statement = update(FriendRequest).where(FriendRequest.id == standing.asked.id).values(values)
    else:
        return
    row = (await connection.execute(statement.returning(FriendRequest.__table__))).one()
    if not row.hidden:
        await events.friend_requested(connection, row)


async def _require_room(connection: AsyncConnection, settings: SocialSettings, caller: Caller) -> None:
    mine = (FriendRequest.from_id == caller.user_id, FriendRequest.result == PENDING)
    pending = (await connection.execute(select(func.count()).select_from(FriendRequest).where(*mine))).scalar_one()
    if pending >= settings.max_friend_requests:
        raise RequestLimitReached


async def handle_request(
    connection: AsyncConnection, settings: SocialSettings, caller: Caller, request_id: int, result: int
) -> None:
    """Raises ResultInvalid, RequestNotFound, RequestHandled, FriendLimitReached."""
    if result not in (ACCEPTED, REFUSED):
        raise ResultInvalid
    query = select(FriendRequest.__table__).where(
        FriendRequest.id == request_id, FriendRequest.to_id == caller.user_id, ~FriendRequest.hidden
    )
    request = (await connection.execute(query)).one_or_none()
    if request is None:
        raise RequestNotFound
    await lock_pair(connection, caller.user_id, request.from_id)
    current = (await connection.execute(query)).one_or_none()  # again, now locked: it may have been handled meanwhile
    if current is None:
        raise RequestNotFound
    if current.result != PENDING:
        raise RequestHandled
    await _settle(connection, settings, caller, current, result)


async def _settle(
    connection: AsyncConnection, settings: SocialSettings, caller: Caller, request: Any, result: int
) -> None:
    if result == ACCEPTED:
        await befriend(connection, settings, caller.user_id, request.from_id, REQUESTED)
        await events.friend_accepted(connection, request)
        return
    refused = update(FriendRequest).where(FriendRequest.id == request.id)
    await connection.execute(refused.values(result=REFUSED, handled_at=func.now()))
    await refuse(connection, caller.user_id, request.from_id)
    await events.friend_refused(connection, request)


async def list_requests(
    connection: AsyncConnection, caller: Caller, direction: int, results: Sequence[int], cursor: str, limit: int
) -> pages.Page:
    """The caller's requests of those results (none: all), oldest first. Raises ResultInvalid, CursorInvalid."""
    if not set(results) <= {PENDING, ACCEPTED, REFUSED}:
        raise ResultInvalid
    sides: list[tuple[Any, ...]] = []
    if direction in (BOTH, MINE):
        sides.append((FriendRequest.from_id == caller.user_id,))
    if direction in (BOTH, TO_ME):
        sides.append((FriendRequest.to_id == caller.user_id, ~FriendRequest.hidden))
    rest = FriendRequest.id > pages.id_after(cursor)
    queries = [
        select(FriendRequest.__table__).where(*side, FriendRequest.result == result, rest)
        for side in sides
        for result in set(results) or {PENDING, ACCEPTED, REFUSED}
    ]
    return await pages.fetch(connection, merge(queries, limit), "id", limit=limit, cursor=cursor)
