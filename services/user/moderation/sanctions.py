"""Suspensions and bans: what stands of the acts decides whether a user may log in."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Row, func, select

from services.kit.roles import SUPER_ADMIN, is_admin
from services.kit.sql.connection import AsyncConnection
from services.user import sessions
from services.user.accounts import change_account, lock_account
from services.user.errors import NotPermitted
from services.user.moderation import acts
from services.user.moderation.models import Act


async def require_subordinate(connection: AsyncConnection, user_id: int, role: int) -> Row[Any]:
    """The account, locked, on which a moderator with this role may act: an admin's only by a super admin.

    Raises UserNotFound, NotPermitted.
    """
    account = await lock_account(connection, user_id)
    if is_admin(account.role) and role < SUPER_ADMIN:
        raise NotPermitted
    return account


async def refresh(connection: AsyncConnection, user_id: int) -> None:
    """Writes what stands into the locked account, and ends its sessions while it is shut out."""
    standing = (Act.owner_id == user_id, Act.reversed_at.is_(None))
    until = select(func.max(Act.until)).where(*standing, Act.verb == acts.SUSPEND).scalar_subquery()
    banned = select(func.min(Act.created_at)).where(*standing, Act.verb == acts.BAN).scalar_subquery()
    row = (await connection.execute(select(until.label("until"), banned.label("banned")))).one()
    await change_account(connection, user_id, suspended_until=row.until, banned_at=row.banned)
    if row.banned or (row.until and row.until > datetime.now(UTC)):
        await sessions.revoke(connection, user_id)
