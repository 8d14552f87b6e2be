"""The lock of a user, under which their relations change.

All code takes locks in the same order, so there is no deadlock: users by id, groups by id, then rows of invitations
before rows of join requests.
"""

from typing import Any

from services.kit.sql.connection import AsyncConnection
from services.kit.sql.statements import Statement

# The key is the user's id, which is far larger than the kit's own lock numbers. unnest keeps the order.
LOCK: Statement[Any] = Statement("SELECT pg_advisory_xact_lock(id) FROM unnest(CAST(:ids AS bigint[])) AS id")


async def lock_users(connection: AsyncConnection, *user_ids: int) -> None:
    """Locks each user until the transaction ends. Users and not pairs are locked because a user's friends and requests
    are limited in number, and because nothing may change for an account while it is deleted."""
    await connection.fetch(LOCK, ids=sorted(user_ids))
