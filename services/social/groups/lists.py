"""The lists of groups and of their members that are read most: each a statement compiled at import."""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import BigInteger, and_, bindparam, false, or_, select, true, tuple_

from services.kit import pages
from services.kit.context import Caller
from services.kit.cursor import decode_cursor
from services.kit.ids import Id
from services.kit.roles import GROUP_OWNER, is_admin
from services.kit.sql.connection import AsyncConnection
from services.kit.sql.statements import Statement
from services.social.errors import GroupNotFound, NotMember, NotPermitted
from services.social.friends.settings import shows_last_login
from services.social.groups.groups import COLUMNS, GROUP, LIVE, MEMBERSHIP
from services.social.groups.members import RANK
from services.social.models import Block, Group, Member
from services.social.queries import AFTER, ME, Rank, cut, milliseconds_of, page_of, paged, probe, read_page

BEFORE_ALL = (-GROUP_OWNER - 1, 0)


class ListedGroup(NamedTuple):
    """A membership, with its group. Times in Unix milliseconds."""

    member_id: int
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


class ListedMember(NamedTuple):
    """`joined_at` in Unix milliseconds."""

    id: int
    group_id: int
    user_id: int
    role: int
    inviter_id: int | None
    joined_at: int
    rank: int
    shows_last_login: bool


# The limit keeps PostgreSQL from a hash of all groups in place of a look for each membership.
_group = select(*COLUMNS).where(Group.id == Member.group_id, *LIVE).limit(1).lateral("found")
GROUPS: Statement[ListedGroup] = Statement(
    paged(
        select(Member.id.label("member_id"), *_group.c)
        .select_from(Member)
        .outerjoin(_group, true())
        .where(Member.user_id == ME, Member.id > AFTER)
        .order_by(Member.id)
    ),
    ListedGroup,
)
_place = tuple_(bindparam("rank", type_=BigInteger), bindparam("place", type_=BigInteger))
_members = (
    select(
        Member.id,
        Member.group_id,
        Member.user_id,
        Member.role,
        Member.inviter_id,
        milliseconds_of(Member.joined_at).label("joined_at"),
        RANK.label("rank"),
    )
    .where(Member.group_id == GROUP, tuple_(RANK, Member.id) > _place)
    .order_by(RANK, Member.id)
)
MEMBERS: Statement[ListedMember] = Statement(
    paged(_members.add_columns(false().label("shows_last_login"))), ListedMember
)
_apart = or_(
    probe(Block.id, Block.user_id == Member.user_id, Block.blocked_id == ME).is_not(None),
    probe(Block.id, Block.user_id == ME, Block.blocked_id == Member.user_id).is_not(None),
)
_shown = or_(Member.user_id == ME, and_(shows_last_login(Member.user_id, ME), ~_apart))
MEMBERS_WITH_LOGIN: Statement[ListedMember] = Statement(
    paged(_members.add_columns(_shown.label("shows_last_login"))), ListedMember
)


async def list_groups(
    connection: AsyncConnection, caller: Caller, user_id: int, cursor: str, limit: int, offset: int
) -> tuple[Sequence[ListedGroup], str]:
    """The groups of a user (0: the caller), the longest membership first. Raises NotPermitted, CursorInvalid."""
    if user_id not in (0, caller.user_id) and not is_admin(caller.role):
        raise NotPermitted
    rows, next_cursor = await read_page(
        connection,
        GROUPS,
        limit,
        cursor,
        offset,
        key="member_id",
        me=user_id or caller.user_id,
        after=pages.id_after(cursor),
    )
    return [row for row in rows if row.id is not None], next_cursor  # not those that are dismissed or hidden


async def list_members(
    connection: AsyncConnection,
    caller: Caller,
    group_id: int,
    cursor: str,
    limit: int,
    offset: int,
    with_last_login: bool = False,
) -> tuple[Sequence[ListedMember], str]:
    """The owner, then managers, then members, the oldest of each first.

    `with_last_login`: whether each lets the caller see when they last logged in. Raises GroupNotFound, NotMember,
    CursorInvalid.
    """
    rank, place = decode_cursor(cursor, tuple[Rank, Id]) or BEFORE_ALL
    mine = MEMBERSHIP.bind(me=caller.user_id, group=group_id)
    named = {"group": group_id, "rank": rank, "place": place}
    if with_last_login:
        page = page_of(MEMBERS_WITH_LOGIN, limit, cursor, offset, me=caller.user_id, **named)
    else:
        page = page_of(MEMBERS, limit, cursor, offset, **named)
    memberships, rows = await connection.fetch_each(mine, page)
    if not memberships:
        raise GroupNotFound
    if memberships[0].role is None:
        raise NotMember
    return cut(rows, limit, "rank", "id")
