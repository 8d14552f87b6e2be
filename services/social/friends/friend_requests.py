"""Answering friend requests, and listing them. asking.py files them."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import func, select, update

from services.kit import pages
from services.kit.context import Caller
from services.kit.sql.connection import AsyncConnection
from services.kit.sql.statements import Statement
from services.social import events
from services.social.config import SocialSettings
from services.social.errors import (
    RequestHandled,
    RequestNotFound,
    ResultInvalid,
)
from services.social.friends.friendships import agree, befriend, lock_pair, refuse
from services.social.models import ACCEPTED, PENDING, REFUSED, REQUESTED, FriendRequest
from services.social.queries import AFTER, ME, merged, paged, read_page, seconds_of, with_results
from services.social.validation import parse_results

BOTH, MINE, TO_ME = range(3)  # directions


class ListedRequest(NamedTuple):
    """Times in Unix seconds; `handled_at` 0: pending."""

    id: int
    from_id: int
    to_id: int
    message: str
    requested_at: int
    result: int
    handled_at: int


_rest = select(
    FriendRequest.id,
    FriendRequest.from_id,
    FriendRequest.to_id,
    FriendRequest.message,
    seconds_of(FriendRequest.requested_at).label("requested_at"),
    FriendRequest.result,
    seconds_of(FriendRequest.handled_at).label("handled_at"),
).where(FriendRequest.id > AFTER)
REQUESTS: Statement[ListedRequest] = Statement(
    paged(
        merged(
            with_results(_rest.where(FriendRequest.from_id == ME), FriendRequest.result, "mine"),
            with_results(_rest.where(FriendRequest.to_id == ME, ~FriendRequest.hidden), FriendRequest.result, "to_me"),
        )
    ),
    ListedRequest,
)


async def agree_to_friend(connection: AsyncConnection, user_id: int, peer_id: int) -> None:
    """The user agrees to the friendship that the peer began; does nothing without one. Raises UserNotFound."""
    standing = await lock_pair(connection, user_id, peer_id)
    if standing.friends and not standing.agreed:
        await _agree(connection, user_id, peer_id)


async def _agree(connection: AsyncConnection, user_id: int, peer_id: int) -> None:
    await agree(connection, user_id, peer_id)
    await events.friend_agreed(connection, user_id, peer_id)


async def handle_request(
    connection: AsyncConnection, settings: SocialSettings, caller: Caller, request_id: int, result: int
) -> int:
    """Returns who had asked. Raises ResultInvalid, RequestNotFound, RequestHandled, FriendLimitReached."""
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
    return int(current.from_id)


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
) -> tuple[Sequence[ListedRequest], str]:
    """The caller's requests of those results (none: all), oldest first. Raises ResultInvalid, CursorInvalid."""
    wanted = parse_results(results)
    sides: dict[str, Any] = {"mine": [] if direction == TO_ME else wanted, "to_me": [] if direction == MINE else wanted}
    sides |= {"me": caller.user_id, "after": pages.id_after(cursor)}
    return await read_page(connection, REQUESTS, limit, cursor, **sides)
