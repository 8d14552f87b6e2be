"""Members of groups: listing, adding and removing them, and their roles."""

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import Row, Select, case, delete, func, insert, select, update

from services.kit import pages
from services.kit.context import Caller
from services.kit.roles import GROUP_MANAGER, GROUP_MEMBER, GROUP_OWNER
from services.kit.sql.connection import AsyncConnection
from services.kit.sql.statements import Statement
from services.social import events
from services.social.config import SocialSettings
from services.social.errors import (
    MemberLimitReached,
    MemberNotFound,
    NotPermitted,
    OwnerMustStay,
    RoleInvalid,
)
from services.social.friends.settings import shows_presence
from services.social.groups.groups import GROUP, lock_as, require_role, require_room_for_group
from services.social.models import ACCEPTED, PENDING, Block, Group, Invitation, JoinRequest, Member
from services.social.queries import ME, probe

RANK = -Member.role  # the owner first


class MemberId(NamedTuple):
    user_id: int


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
    """Adds a locked user to a locked group; accepts their pending application and deletes their invitations.

    Raises GroupLimitReached, MemberLimitReached.
    """
    if group.member_count >= settings.max_members:
        raise MemberLimitReached
    await require_room_for_group(connection, settings, user_id)
    row = insert(Member).values(group_id=group.id, user_id=user_id, role=GROUP_MEMBER, inviter_id=inviter_id)
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
    group, role = await lock_as(connection, caller, group_id, GROUP_MEMBER)
    if role == GROUP_OWNER:
        raise OwnerMustStay
    await _remove(connection, group_id, caller.user_id)
    await events.group_left(connection, group, caller.user_id)


async def remove_member(connection: AsyncConnection, caller: Caller, group_id: int, user_id: int) -> None:
    """Removes a member with a lower role than the caller's.

    Raises GroupNotFound, NotMember, NotPermitted, MemberNotFound.
    """
    group, role = await lock_as(connection, caller, group_id, GROUP_MANAGER)
    member = await _require_member(connection, group_id, user_id)
    if member.role >= role:
        raise NotPermitted
    await _remove(connection, group_id, user_id)
    await events.group_removed(connection, group, caller.user_id, user_id)


async def set_role(connection: AsyncConnection, caller: Caller, group_id: int, user_id: int, role: int) -> None:
    """Sets another member's role; the caller must be the owner.

    Raises RoleInvalid, GroupNotFound, NotMember, NotPermitted, MemberNotFound.
    """
    if role not in (GROUP_MEMBER, GROUP_MANAGER):
        raise RoleInvalid
    group, _ = await lock_as(connection, caller, group_id, GROUP_OWNER)
    member = await _require_member(connection, group_id, user_id)
    if member.role == GROUP_OWNER:
        raise NotPermitted
    if member.role != role:
        await _set_role(connection, member, role)
        await events.group_role_changed(connection, group, caller.user_id, user_id, role)


async def _set_role(connection: AsyncConnection, member: Any, role: int) -> None:
    await connection.execute(update(Member).where(Member.id == member.id).values(role=role))


async def transfer_group(connection: AsyncConnection, caller: Caller, group_id: int, user_id: int) -> None:
    """Makes another member the owner; the caller becomes a manager.

    Raises GroupNotFound, NotMember, NotPermitted, MemberNotFound.
    """
    group, _ = await lock_as(connection, caller, group_id, GROUP_OWNER)
    heir = await _require_member(connection, group_id, user_id)
    if heir.role == GROUP_OWNER:
        return
    await _set_role(connection, await _require_member(connection, group_id, caller.user_id), GROUP_MANAGER)
    await transfer_ownership(connection, group, heir, caller.user_id)


async def transfer_ownership(connection: AsyncConnection, group: Any, heir: Any, actor_id: int) -> None:
    """Makes a member of a locked group its owner. The previous owner has another role already, or has left."""
    await _set_role(connection, heir, GROUP_OWNER)
    owned = update(Group).where(Group.id == group.id)
    await connection.execute(owned.values(owner_id=heir.user_id, updated_at=func.now()))
    await events.group_transferred(connection, group, actor_id, heir.user_id)


async def list_member_ids(
    connection: AsyncConnection, caller: Caller, group_id: int, only_visible: bool, only_present: bool
) -> Sequence[int]:
    """`only_visible`: without those between whom and the caller a block is; `only_present`: without those who do not
    show the caller their presence. Raises GroupNotFound, NotMember."""
    await require_role(connection, caller, group_id, GROUP_MEMBER)
    statement = MEMBER_IDS[only_visible, only_present]
    return [row.user_id for row in await connection.fetch(statement, me=caller.user_id, group=group_id)]


def _ids(only_visible: bool, only_present: bool) -> Statement[MemberId]:
    query = select(Member.user_id).where(Member.group_id == GROUP).order_by(Member.user_id)
    if only_visible:
        blocked = select(Block.blocked_id).where(Block.user_id == ME)
        blockers = select(Block.user_id).where(Block.blocked_id == ME)
        query = query.where(Member.user_id.not_in(blocked.union_all(blockers)))
    if only_present:
        query = query.where(shows_presence(Member.user_id, ME))
    return Statement(query, MemberId)


MEMBER_IDS = {which: _ids(*which) for which in itertools.product((False, True), repeat=2)}


async def list_manager_ids(connection: AsyncConnection, group_id: int, limit: int) -> Sequence[int]:
    """The owner, then the managers, oldest first."""
    query = select(Member.user_id).where(Member.group_id == group_id, RANK <= -GROUP_MANAGER).order_by(RANK, Member.id)
    return (await connection.execute(query.limit(limit))).scalars().all()


def _checked() -> Select[Any]:
    asked = pages.unnest("group_id", "user_id")
    role = probe(Member.role, Member.group_id == asked.c.group_id, Member.user_id == asked.c.user_id)
    hidden_at = probe(Group.hidden_at, Group.id == asked.c.group_id)
    column: Any = case((hidden_at.is_(None), role)).label("role")
    return select(column).select_from(asked).order_by(asked.c.place)


CHECKED: Statement[Any] = Statement(_checked())


async def check_members(connection: AsyncConnection, pairs: Sequence[tuple[int, int]]) -> Sequence[Any]:
    """The role of each (group, user), in order; None if the user is no member or the group is hidden.

    Raises BatchTooLarge.
    """
    pages.check_batch(pairs)
    groups, users = [group for group, _ in pairs], [user for _, user in pairs]
    return await connection.fetch(CHECKED, group_id=groups, user_id=users)
