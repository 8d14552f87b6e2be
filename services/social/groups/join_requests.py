"""Applications to join a group, and invitations; joining.py joins.

The application of a user whom the owner blocked is stored hidden: to its sender it looks pending.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, bindparam, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from services.kit import pages
from services.kit.context import Caller
from services.kit.roles import GROUP_MANAGER
from services.kit.sql.connection import AsyncConnection
from services.kit.sql.statements import Statement
from services.social import events
from services.social.config import SocialSettings
from services.social.errors import Blocked, RequestHandled, RequestNotFound, ResultInvalid, UserNotFound
from services.social.friends.friendships import has_blocked
from services.social.groups.groups import lock_as, require_role
from services.social.groups.members import add_member, find_member, list_manager_ids
from services.social.locks import lock_users
from services.social.models import ACCEPTED, PENDING, REFUSED, Invitation, JoinRequest
from services.social.queries import AFTER, ME, merged, paged, read_page, seconds_of, with_results
from services.social.validation import parse_results

MAX_TOLD = 100  # managers that the event of an application names


class ListedApplication(NamedTuple):
    """Times in Unix seconds; `handled_at`, while it is pending: `requested_at`."""

    id: int
    group_id: int
    user_id: int
    message: str
    requested_at: int
    inviter_id: int | None
    handler_id: int | None
    handled_at: int
    result: int


_rest = select(
    JoinRequest.id,
    JoinRequest.group_id,
    JoinRequest.user_id,
    JoinRequest.message,
    seconds_of(JoinRequest.requested_at).label("requested_at"),
    JoinRequest.inviter_id,
    JoinRequest.handler_id,
    seconds_of(func.coalesce(JoinRequest.handled_at, JoinRequest.requested_at)).label("handled_at"),
    JoinRequest.result,
).where(JoinRequest.id > AFTER)


def _listing(*which: Any) -> Statement[ListedApplication]:
    return Statement(paged(merged(with_results(_rest.where(*which), JoinRequest.result, "results"))), ListedApplication)


BY_USER = _listing(JoinRequest.user_id == ME)
TO_GROUP = _listing(JoinRequest.group_id == bindparam("group", type_=BigInteger), ~JoinRequest.hidden)


async def apply_for(connection: AsyncConnection, group: Any, caller: Caller, values: dict[str, Any]) -> None:
    """Stores a pending application. A hidden one becomes visible if the caller, no longer blocked, applies again."""
    mine = (
        JoinRequest.group_id == group.id,
        JoinRequest.user_id == caller.user_id,
        JoinRequest.result == PENDING,
    )
    pending = (await connection.execute(select(JoinRequest.__table__).where(*mine))).one_or_none()
    if pending is None:
        statement: Any = insert(JoinRequest).values(group_id=group.id, user_id=caller.user_id, **values)
    elif pending.hidden and not values["hidden"]:
        statement = update(JoinRequest).where(JoinRequest.id == pending.id).values(values)
    else:
        return
    row = (await connection.execute(statement.returning(JoinRequest.__table__))).one()
    if not row.hidden:
        await events.group_requested(connection, group, row, await list_manager_ids(connection, group.id, MAX_TOLD))


async def handle_request(
    connection: AsyncConnection, settings: SocialSettings, caller: Caller, group_id: int, request_id: int, result: int
) -> int:
    """Accepts or refuses an application; the id of the applicant.

    Raises ResultInvalid, GroupNotFound, NotMember, NotPermitted, RequestNotFound, RequestHandled, GroupLimitReached,
    MemberLimitReached.
    """
    if result not in (ACCEPTED, REFUSED):
        raise ResultInvalid
    query = select(JoinRequest.__table__).where(
        JoinRequest.id == request_id, JoinRequest.group_id == group_id, ~JoinRequest.hidden
    )
    request = (await connection.execute(query)).one_or_none()
    if request is not None:
        await lock_users(connection, request.user_id)
    group, _ = await lock_as(connection, caller, group_id, GROUP_MANAGER)
    request = (await connection.execute(query)).one_or_none()  # again, now locked: another manager may have handled it
    if request is None:
        raise RequestNotFound
    if request.result != PENDING:
        raise RequestHandled
    await _settle(connection, settings, group, caller, request, result)
    return int(request.user_id)


async def _settle(
    connection: AsyncConnection, settings: SocialSettings, group: Any, caller: Caller, request: Any, result: int
) -> None:
    if result == ACCEPTED:
        await add_member(connection, settings, group, request.user_id, caller.user_id, request.inviter_id)
    else:
        refused = {"result": REFUSED, "handler_id": caller.user_id, "handled_at": func.now()}
        await connection.execute(update(JoinRequest).where(JoinRequest.id == request.id).values(refused))
    await events.group_handled(connection, group, caller.user_id, request, result)


async def list_requests(
    connection: AsyncConnection, caller: Caller, group_id: int, results: Sequence[int], cursor: str, limit: int
) -> tuple[Sequence[ListedApplication], str]:
    """The caller's applications if `group_id` is 0, else the group's; oldest first.

    Raises ResultInvalid, CursorInvalid, GroupNotFound, NotMember, NotPermitted.
    """
    named: dict[str, Any] = {"results": parse_results(results), "after": pages.id_after(cursor)}
    if not group_id:
        return await read_page(connection, BY_USER, limit, cursor, me=caller.user_id, **named)
    await require_role(connection, caller, group_id, GROUP_MANAGER)
    return await read_page(connection, TO_GROUP, limit, cursor, group=group_id, **named)


async def invite(connection: AsyncConnection, caller: Caller, group_id: int, user_id: int) -> None:
    """Does nothing if the user is a member already, or blocked the caller.

    Raises UserNotFound, GroupNotFound, NotMember, NotPermitted, Blocked.
    """
    if user_id <= 0:
        raise UserNotFound
    group, _ = await lock_as(connection, caller, group_id, GROUP_MANAGER)
    if await has_blocked(connection, caller.user_id, user_id):
        raise Blocked
    if await find_member(connection, group_id, user_id) or await has_blocked(connection, user_id, caller.user_id):
        return
    invitation = upsert(Invitation).values(group_id=group_id, user_id=user_id, inviter_id=caller.user_id)
    fresh = invitation.on_conflict_do_nothing().returning(Invitation.user_id)
    if (await connection.execute(fresh)).one_or_none():
        await events.group_invited(connection, group, caller.user_id, user_id)
