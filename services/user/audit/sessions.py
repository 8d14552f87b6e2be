"""Ending a session, one's own or, which the audit records, another user's."""

from services.kit.context import Caller
from services.kit.sql.connection import AsyncConnection
from services.user import sessions
from services.user.audit.entries import Act, append
from services.user.profiles import require_self_or_admin


async def revoke_session(connection: AsyncConnection, caller: Caller, user_id: int, session_id: int) -> None:
    """`user_id` 0: the caller. Raises NotPermitted, UserNotFound, SessionNotFound."""
    user_id = await require_self_or_admin(connection, caller, user_id)
    await sessions.revoke_one(connection, user_id, session_id)
    if user_id != caller.user_id:
        act = Act("revoke session", "user", user_id, details={"session_id": str(session_id)})
        await append(connection, act, actor_id=caller.user_id)
