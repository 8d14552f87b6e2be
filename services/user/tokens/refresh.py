"""New tokens for a session. Clients that ask for it get a new refresh token too, and each then counts once.

A refresh token that was used before is in two hands, so its session ends (RFC 9700, 4.14.2). Only a repeat within GRACE
is answered with the newest one again: the first answer may have been lost, or two tabs asked at once.
"""

import secrets
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Row, select, update

from services.kit import tokens
from services.kit.sql.connection import AsyncConnection
from services.user import sessions
from services.user.accounts import lock_account
from services.user.errors import SessionEnded, UserNotFound
from services.user.models import Session
from services.user.service import Service
from services.user.sessions import IssuedTokens

GRACE = timedelta(seconds=10)


async def refresh(
    connection: AsyncConnection, service: Service, rtoken: str, rotate: bool = False
) -> IssuedTokens | None:
    """A new access token, and with `rotate` a new refresh token.

    None if the token was used before, which ends the session: commit that, then raise SessionEnded. Raises
    TokenExpired, WrongTokenClass, TokenInvalid, SessionEnded.
    """
    claims = tokens.verify(service.settings.jwt_secret, rtoken, "rtoken")
    session_id, user_id = int(claims.sid), int(claims.userid)
    verdicts = await sessions.check(connection, [session_id])
    if not verdicts or verdicts[0].user_id != user_id:
        raise SessionEnded
    session = await _find(connection, session_id)
    refresh_id = session.refresh_id
    if rotate or refresh_id:
        session = await _lock(connection, user_id, session_id)
        if session.refresh_id not in (None, claims.jti) and not _is_repeat(session, claims.jti):
            await sessions.revoke(connection, user_id, Session.id == session_id)
            return None
        refresh_id = await _rotate(connection, session, claims.jti) if rotate else ""
    lifetime = int((session.expires_at - datetime.now(UTC)).total_seconds()) if rotate else 0
    access = service.settings.atoken_seconds
    return sessions.issue(service, verdicts[0], session_id, access, lifetime, refresh_id or "")


async def _find(connection: AsyncConnection, session_id: int) -> Row[Any]:
    """Raises SessionEnded."""
    query = select(Session.__table__).where(Session.id == session_id, *sessions.LIVE)
    session = (await connection.execute(query)).one_or_none()
    if session is None:
        raise SessionEnded
    return session


async def _lock(connection: AsyncConnection, user_id: int, session_id: int) -> Row[Any]:
    """By its account, so that a user's sessions change one at a time. Raises SessionEnded."""
    try:
        await lock_account(connection, user_id)
    except UserNotFound:
        raise SessionEnded from None
    return await _find(connection, session_id)


def _is_repeat(session: Row[Any], refresh_id: str) -> bool:
    return bool(session.previous_refresh_id == refresh_id and datetime.now(UTC) - session.refreshed_at < GRACE)


async def _rotate(connection: AsyncConnection, session: Row[Any], used: str) -> str:
    """The id of the refresh token that counts from now on."""
    if session.refresh_id not in (None, used):
        return str(session.refresh_id)
    fresh = secrets.token_hex(8)
    values = {"refresh_id": fresh, "previous_refresh_id": used, "refreshed_at": datetime.now(UTC)}
    await connection.execute(update(Session).where(Session.id == session.id).values(values))
    return fresh
