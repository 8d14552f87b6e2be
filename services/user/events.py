"""The events this service emits: `events.user.<noun>.<verb>`, aggregate `user:<id>`. Ids travel as strings."""

from collections.abc import Sequence

from services.kit.events.outbox import emit
from services.kit.sql.connection import AsyncConnection


async def account_registered(connection: AsyncConnection, user_id: int, username: str) -> None:
    await _emit(connection, "account.registered", user_id, username=username)


async def account_deleted(connection: AsyncConnection, user_id: int) -> None:
    """The other services erase what they store about the user."""
    await _emit(connection, "account.deleted", user_id)


async def account_disabled(connection: AsyncConnection, user_id: int, disabled: bool) -> None:
    await _emit(connection, "account.disabled" if disabled else "account.enabled", user_id)


async def sessions_revoked(connection: AsyncConnection, user_id: int, session_ids: Sequence[int]) -> None:
    if session_ids:
        await _emit(connection, "session.revoked", user_id, session_ids=[str(id) for id in session_ids])


async def profile_updated(connection: AsyncConnection, user_id: int) -> None:
    """Any field of a card or profile changed, the email and phone included."""
    await _emit(connection, "profile.updated", user_id)


async def role_changed(connection: AsyncConnection, user_id: int, role: int) -> None:
    await _emit(connection, "role.changed", user_id, role=role)


async def _emit(connection: AsyncConnection, what: str, user_id: int, **data: object) -> None:
    await emit(connection, f"user.{what}", f"user:{user_id}", user_id=str(user_id), **data)
