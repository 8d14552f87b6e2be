"""Who may set which role (docs/contract/api.md, "user/set-role"). Each change is recorded."""

from typing import Any

from sqlalchemy import Row, func, insert, select, update

from services.kit.context import Caller
from services.kit.db import one_of
from services.kit.roles import ADMIN, GUEST, MEMBER, SUPER_ADMIN, USER
from services.kit.sql.connection import AsyncConnection
from services.user import events
from services.user.accounts import lock_account
from services.user.errors import NotPermitted, RoleInvalid
from services.user.identities.lookalikes import skeleton
from services.user.models import Account, RoleChange


async def set_role(connection: AsyncConnection, caller: Caller, user_id: int, role: int) -> None:
    """The account is locked only if something changes. Raises RoleInvalid, NotPermitted, UserNotFound."""
    if not GUEST <= role <= SUPER_ADMIN:
        raise RoleInvalid
    query = select(Account.__table__).where(one_of(Account.id, [caller.user_id, user_id]), Account.deleted_at.is_(None))
    seen = {row.id: row for row in await connection.execute(query)}
    own_role: int = seen[caller.user_id].role if caller.user_id in seen else GUEST
    if own_role < ADMIN and user_id != caller.user_id:
        raise NotPermitted  # whether or not there is another user: the caller may not learn it
    target = seen.get(user_id)
    if target and _may_set(caller.user_id, own_role, target, role) and not _changes(target, role, caller.user_id):
        return
    account = await lock_account(connection, user_id)
    if not _may_set(caller.user_id, own_role, account, role):
        raise NotPermitted
    await change_role(connection, account, role, by_user_id=caller.user_id)


def _may_set(caller_id: int, own_role: int, account: Row[Any], role: int) -> bool:
    if own_role == SUPER_ADMIN:
        return True
    if own_role == ADMIN:
        return account.role < ADMIN and role <= MEMBER
    if account.id != caller_id:
        return False
    return role == account.role or (account.role == GUEST and role == USER and not account.role_set_by_admin)


def _changes(account: Row[Any], role: int, by_user_id: int | None) -> bool:
    by_admin = account.id != by_user_id
    return role != account.role or (by_admin and not account.role_set_by_admin)


async def change_role(connection: AsyncConnection, account: Row[Any], role: int, by_user_id: int | None) -> None:
    """Sets the role of a locked account and records it. `by_user_id` None: the operator's command line."""
    if not _changes(account, role, by_user_id):
        return
    by_admin = account.role_set_by_admin or account.id != by_user_id
    values = {"role": role, "role_set_by_admin": by_admin, "updated_at": func.now()}
    values["username_skeleton"] = skeleton(account.username)  # rows of releases before have none
    await connection.execute(update(Account).where(Account.id == account.id).values(values))
    change = {"user_id": account.id, "by_user_id": by_user_id, "old_role": account.role, "new_role": role}
    await connection.execute(insert(RoleChange).values(change))
    await events.role_changed(connection, account.id, role)
