"""Groups: creating, changing, dismissing, listing and searching them."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, Row, bindparam, delete, func, insert, select, update

from services.kit import pages
from services.kit.context import Caller
from services.kit.db import one_of
from services.kit.roles import GROUP_MANAGER, GROUP_OWNER
from services.kit.sql.connection import AsyncConnection
from services.kit.sql.statements import Statement
from services.name_search.queries import NameSearch
from services.social import events
from services.social.config import SocialSettings
from services.social.errors import GroupLimitReached, GroupNotFound, NotMember, NotPermitted
from services.social.locks import lock_users
from services.social.models import PENDING, REFUSED, Group, Invitation, JoinRequest, Member
from services.social.queries import ME, milliseconds_of
from services.social.validation import name_key, parse_group_fields

LIVE = (Group.dismissed_at.is_(None), Group.hidden_at.is_(None))
GROUP = bindparam("group", type_=BigInteger)
NAMES = NameSearch.of('"group"', "name_key", "dismissed_at IS NULL AND hidden_at IS NULL")


class FoundGroup(NamedTuple):
    """Times in Unix milliseconds."""

    id: int
    name: str
    icon: str
    description: str
    owner_id: int
    approval: bool
    announcement: str
    announced_by: int | None
    member_count: int
    created_at: int
    updated_at: int


COLUMNS = (
    *(getattr(Group, name) for name in FoundGroup._fields[:-2]),
    milliseconds_of(Group.created_at).label("created_at"),
    milliseconds_of(Group.updated_at).label("updated_at"),
)
FOUND: Statement[FoundGroup] = Statement(select(*COLUMNS).where(one_of(Group.id, "ids"), *LIVE), FoundGroup)


class Membership(NamedTuple):
    """`role`: None for a user who is no member."""

    id: int
    role: int | None


MEMBERSHIP: Statement[Membership] = Statement(
    select(Group.id, Member.role)
    .outerjoin(Member, (Member.group_id == Group.id) & (Member.user_id == ME))
    .where(Group.id == GROUP, *LIVE),
    Membership,
)


async def lock_group(connection: AsyncConnection, group_id: int) -> Row[Any]:
    """The live group, locked: changes of its members happen one at a time. Raises GroupNotFound."""
    query = select(Group.__table__).where(Group.id == group_id, *LIVE).with_for_update()
    group = (await connection.execute(query)).one_or_none()
    if group is None:
        raise GroupNotFound
    return group


async def lock_as(connection: AsyncConnection, caller: Caller, group_id: int, role: int) -> tuple[Row[Any], int]:
    """The group, locked, and the caller's role in it, which must be at least `role`.

    Raises GroupNotFound, NotMember, NotPermitted.
    """
    group = await lock_group(connection, group_id)
    return group, await require_role(connection, caller, group_id, role)


async def require_role(connection: AsyncConnection, caller: Caller, group_id: int, role: int) -> int:
    """The caller's role, which must be at least `role`. Raises GroupNotFound, NotMember, NotPermitted."""
    group = await connection.fetch_one(MEMBERSHIP, me=caller.user_id, group=group_id)
    if group is None:
        raise GroupNotFound
    if group.role is None:
        raise NotMember
    if group.role < role:
        raise NotPermitted
    return group.role


async def require_room_for_group(connection: AsyncConnection, settings: SocialSettings, user_id: int) -> None:
    """Raises GroupLimitReached if a locked user cannot join one more group."""
    count = select(func.count()).select_from(Member).where(Member.user_id == user_id)
    if (await connection.execute(count)).scalar_one() >= settings.max_groups:
        raise GroupLimitReached


async def create_group(
    connection: AsyncConnection, settings: SocialSettings, caller: Caller, approval: bool, fields: dict[str, str]
) -> Row[Any]:
    """The new group, owned by the caller. Raises GroupNameEmpty, GroupInvalid, GroupLimitReached."""
    values = parse_group_fields(fields)
    await lock_users(connection, caller.user_id)
    await require_room_for_group(connection, settings, caller.user_id)
    row = insert(Group).values(owner_id=caller.user_id, approval=approval, member_count=1, **values)
    group: Row[Any] = (await connection.execute(row.returning(Group.__table__))).one()
    await connection.execute(insert(Member).values(group_id=group.id, user_id=caller.user_id, role=GROUP_OWNER))
    await events.group_created(connection, group)
    return group


async def update_group(connection: AsyncConnection, caller: Caller, group_id: int, changes: dict[str, Any]) -> None:
    """Changes the given fields of `name, icon, description, approval, announcement`.

    Raises GroupNameEmpty, GroupInvalid, GroupNotFound, NotMember, NotPermitted.
    """
    approval = {key: changes[key] for key in changes if key == "approval"}
    wanted = approval | parse_group_fields({key: changes[key] for key in changes.keys() - approval})
    group, _ = await lock_as(connection, caller, group_id, GROUP_MANAGER)
    values = {key: value for key, value in wanted.items() if value != getattr(group, key)}
    if not values:
        return
    if "announcement" in values:
        values["announced_by"] = caller.user_id if values["announcement"] else None
    statement = update(Group).where(Group.id == group_id).values(updated_at=func.now(), **values)
    changed = (await connection.execute(statement.returning(Group.__table__))).one()
    await events.group_updated(connection, changed, caller.user_id, values.keys() - {"name_key", "announced_by"})


async def dismiss_group(connection: AsyncConnection, caller: Caller, group_id: int) -> None:
    """Raises GroupNotFound, NotMember, NotPermitted."""
    group, _ = await lock_as(connection, caller, group_id, GROUP_OWNER)
    await dismiss(connection, group, caller.user_id)


async def dismiss(connection: AsyncConnection, group: Any, actor_id: int) -> None:
    """Dismisses a locked group for good: removes its members, refuses pending applications, and empties its row."""
    gone = delete(Member).where(Member.group_id == group.id).returning(Member.user_id)
    member_ids = (await connection.execute(gone)).scalars().all()
    await connection.execute(delete(Invitation).where(Invitation.group_id == group.id))
    waiting = update(JoinRequest).where(JoinRequest.group_id == group.id, JoinRequest.result == PENDING)
    await connection.execute(waiting.values(result=REFUSED, handler_id=actor_id, handled_at=func.now()))
    blank = dict.fromkeys(("name", "name_key", "icon", "description", "announcement"), "")
    dismissed = update(Group).where(Group.id == group.id)
    values = {"member_count": 0, "dismissed_at": func.now(), "updated_at": func.now()}
    await connection.execute(dismissed.values(values | blank))
    await events.group_dismissed(connection, group, actor_id, member_ids)


async def batch_get(connection: AsyncConnection, group_ids: Sequence[int]) -> Sequence[FoundGroup]:
    """The live groups among those ids, in any order. Raises BatchTooLarge."""
    pages.check_batch(group_ids)
    return await connection.fetch(FOUND, ids=list(group_ids))


async def search_groups(
    connection: AsyncConnection, query: str, cursor: str, limit: int
) -> tuple[Sequence[FoundGroup], str]:
    """The groups whose name begins with `query`, in any case, then those that have it inside; none for an empty
    one. Raises CursorInvalid."""
    ids, next_cursor = await NAMES.find(connection, name_key(query), cursor, pages.clamp(limit, pages.MAX_LIMIT))
    groups = {row.id: row for row in await batch_get(connection, ids)}
    return [groups[id] for id in ids if id in groups], next_cursor
