"""Members of groups: who they are, their roles, and how they come and go."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.kit.context import Caller
from services.kit.cursor import decode_cursor
from services.kit.ids import Id
from services.social import events, pages
from services.social.config import SocialSettings
from services.social.errors import (
    MemberLimitReached,
    MemberNotFound,
    NotPermitted,
    OwnerMustStay,
    RoleInvalid,
)
from services.social.groups import lock_as, require_role, require_room_for_group
from services.social.models import ACCEPTED, MANAGER, MEMBER, OWNER, PENDING, Group, Invitation, JoinRequest, Member

RANK = -Member.role  # the owner first


async def find_member(connection: AsyncConnection, group_id: int, user_id: int) -> Row[Any] | None:
    query = select(Member.__table__).where(Member.group_id == group_id, Member.user_id == user_id)
    return (await connection.execute(query)).one_or_none()


async def _require_member(connection: AsyncConnection, group_id: int, user_id: int) -> Row[Any]:
    """Raises MemberNotFound."""
    member = await find_member(connection, group_id, user_id)
    if member is None:
        raise MemberNotFound
    return member


async def add_member(
    connection: AsyncConnection,
    settings: SocialSettings,
    group: Any,
    user_id: int,
    actor_id: int,
    inviter_id: int | None = None,
) -> None:
    """Lets a locked user into a locked group he is not in; what he applied for and was invited by is settled.

    Raises GroupLimitReached, MemberLimitReached.
    """
    if group.member_count >= settings.max_members:
        raise MemberLimitReached
    await require_room_for_group(connection, settings, user_id)
    row = insert(Member).values(group_id=group.id, user_id=user_id, role=MEMBER, inviter_id=inviter_id)
    await connection.execute(row)
    await _count(connection, group.id, 1)
    invited = (Invitation.group_id == group.id, Invitation.user_id == user_id)
    await connection.execute(delete(Invitation).where(*invited))
    waiting = (JoinRequest.group_id == group.id, JoinRequest.user_id == user_id, JoinRequest.result == PENDING)
    settled = {"result": ACCEPTED, "handled_at": func.now(), "handler_id": actor_id, "hidden": False}
    await connection.execute(update(JoinRequest).where(*waiting).values(settled))
    await events.group_joined(connection, group, actor_id, user_id, inviter_id)


async def _remove(connection: AsyncConnection, group_id: int, user_id: int) -> None:
    await connection.execute(delete(Member).where(Member.group_id == group_id, Member.user_id == user_id))
    await _count(connection, group_id, -1)


async def _count(connection: AsyncConnection, group_id: int, change: int) -> None:
    counted = update(Group).where(Group.id == group_id)
    await connection.execute(counted.values(member_count=Group.member_count + change))


async def leave_group(connection: AsyncConnection, caller: Caller, group_id: int) -> None:
    """Raises GroupNotFound, NotMember, OwnerMustStay."""
    group, role = await lock_as(connection, caller, group_id, MEMBER)
    if role == OWNER:
        raise OwnerMustStay
    await _remove(connection, group_id, caller.user_id)
    await events.group_left(connection, group, caller.user_id)


async def remove_member(connection: AsyncConnection, caller: Caller, group_id: int, user_id: int) -> None:
    """Of a lower role than the caller's. Raises GroupNotFound, NotMember, NotPermitted, MemberNotFound."""
    group, role = await lock_as(connection, caller, group_id, MANAGER)
    member = await _require_member(connection, group_id, user_id)
    if member.role >= role:
        raise NotPermitted
    await _remove(connection, group_id, user_id)
    await events.group_removed(connection, group, caller.user_id, user_id)


async def set_role(connection: AsyncConnection, caller: Caller, group_id: int, user_id: int, role: int) -> None:
    """By the owner, of anyone else. Raises RoleInvalid, GroupNotFound, NotMember, NotPermitted, MemberNotFound."""
    if role not in (MEMBER, MANAGER):
        raise RoleInvalid
    group, _ = await lock_as(connection, caller, group_id, OWNER)
    member = await _require_member(connection, group_id, user_id)
    if member.role == OWNER:
        raise NotPermitted
    if member.role != role:
        await _set_role(connection, member, role)
        await events.group_role_changed(connection, group, caller.user_id, user_id, role)


async def _set_role(connection: AsyncConnection, member: Any, role: int) -> None:
    await connection.execute(update(Member).where(Member.id == member.id).values(role=role))


async def transfer_group(connection: AsyncConnection, caller: Caller, group_id: int, user_id: int) -> None:
    """The caller stays as a manager. Raises GroupNotFound, NotMember, NotPermitted, MemberNotFound."""
    group, _ = await lock_as(connection, caller, group_id, OWNER)
    heir = await _require_member(connection, group_id, user_id)
    if heir.role == OWNER:
        return
    await _set_role(connection, await _require_member(connection, group_id, caller.user_id), MANAGER)
    await crown(connection, group, heir, caller.user_id)


async def crown(connection: AsyncConnection, group: Any, heir: Any, actor_id: int) -> None:
    """Makes a member of a locked group its owner; who was has another role, or has gone."""
    await _set_role(connection, heir, OWNER)
    owned = update(Group).where(Group.id == group.id)
    await connection.execute(owned.values(owner_id=heir.user_id, updated_at=func.now()))
    await events.group_transferred(connection, group, actor_id, heir.user_id)


async def list_members(
    connection: AsyncConnection, caller: Caller, group_id: int, cursor: str, limit: int, offset: int
) -> pages.Page:
    """The owner, managers, then members, each oldest first. Raises GroupNotFound, NotMember, CursorInvalid."""
    place = decode_cursor(cursor, tuple[pages.Rank, Id])
    await require_role(connection, caller, group_id, MEMBER)
    query = select(Member.__table__, RANK.label("rank")).where(Member.group_id == group_id)
    if place:
        query = query.where(pages.beyond((RANK, Member.id), place))
    query = query.order_by(RANK, Member.id)
    return await pages.fetch(connection, query, "rank", "id", limit=limit, cursor=cursor, offset=offset)


async def list_member_ids(connection: AsyncConnection, caller: Caller, group_id: int) -> Sequence[int]:
    """Raises GroupNotFound, NotMember."""
    await require_role(connection, caller, group_id, MEMBER)
    query = select(Member.user_id).where(Member.group_id == group_id).order_by(Member.user_id)
    return (await connection.execute(query)).scalars().all()


async def list_manager_ids(connection: AsyncConnection, group_id: int, limit: int) -> Sequence[int]:
    """The owner's, then the oldest managers'."""
    query = select(Member.user_id).where(Member.group_id == group_id, RANK <= -MANAGER).order_by(RANK, Member.id)
    return (await connection.execute(query.limit(limit))).scalars().all()


async def check_members(connection: AsyncConnection, pairs: Sequence[tuple[int, int]]) -> Sequence[Row[Any]]:
    """The role of each (group, user), None where he is no member, in order. Raises BatchTooLarge."""
    pages.check_batch(pairs)
    asked = pages.unnest(group_id=[group for group, _ in pairs], user_id=[user for _, user in pairs])
    role = pages.probe(Member.role, Member.group_id == asked.c.group_id, Member.user_id == asked.c.user_id)
    columns: tuple[Any, ...] = (role.label("role"),)
    return (await connection.execute(select(*columns).select_from(asked).order_by(asked.c.place))).all()
