"""Deleting an account (docs/contract/api.md, "user")."""

import asyncio
from datetime import timedelta

import structlog
from sqlalchemy import func, select, update
from sqlalchemy.exc import SQLAlchemyError

from services.kit.context import Caller
from services.kit.db import Database
from services.kit.sql.connection import AsyncConnection
from services.user import email_changes, events, guesses, sessions
from services.user.accounts import change_account, relock
from services.user.credentials import verify_own_password
from services.user.exports import links
from services.user.models import Account, Session
from services.user.moderation import account_erasure
from services.user.second_factor import factors
from services.user.service import Service

REPEAT_AFTER = timedelta(hours=1)  # longer than an upload that was under way, or an event that was late
LOOK_EVERY = 300.0  # seconds
BATCH = 100  # accounts

log = structlog.get_logger("erasure")


async def delete_account(service: Service, caller: Caller, password: str) -> None:
    """Erases the caller's account. Raises UserNotFound, CredentialsWrong, Overloaded."""
    account = await verify_own_password(service, caller, password)
    async with service.database.transaction() as connection:
        await relock(connection, account)
        await erase(connection, caller.user_id)


async def erase(connection: AsyncConnection, user_id: int) -> None:
    """Empties a locked account, ends its sessions, and emits the event at which the other services erase their data.

    The row stays for the ids that name it.
    """
    gone = f"DELETED-{user_id}"  # in capitals, which no folded username has
    await sessions.revoke(connection, user_id)
    await connection.execute(update(Session).where(Session.user_id == user_id).values(device="", ip=""))
    await guesses.forget_networks(connection, user_id)
    await email_changes.forget(connection, user_id)
    await links.forget(connection, user_id)
    await factors.forget(connection, user_id)
    await account_erasure.forget(connection, user_id)
    await change_account(
        connection,
        user_id,
        username=gone,
        username_key=gone,
        username_skeleton=None,
        nickname="",
        avatar="",
        bio="",
        sex=0,
        email=None,
        phone=None,
        phone_proven_at=None,
        password_hash="",
        client_ip="",
        client_port=0,
        device="",
        deleted_at=func.now(),
    )
    await events.account_deleted(connection, user_id)


async def repeat_erasures(database: Database) -> None:
    """Announces each erasure once more; runs in the background for ever."""
    while True:
        try:
            while await announce_again(database) == BATCH:
                pass
        except SQLAlchemyError as error:
            log.warning("repeating erasures failed", error=repr(error)[:200])
        await asyncio.sleep(LOOK_EVERY)


async def announce_again(database: Database) -> int:
    """Announces a batch of the accounts that were deleted REPEAT_AFTER ago; returns how many."""
    async with database.transaction() as connection:
        due = (Account.deleted_at < func.now() - REPEAT_AFTER, Account.erased_again_at.is_(None))
        some = select(Account.id).where(*due).order_by(Account.deleted_at).limit(BATCH)
        again = update(Account).where(Account.id.in_(some.with_for_update(skip_locked=True)))
        ids = (await connection.execute(again.values(erased_again_at=func.now()).returning(Account.id))).scalars().all()
        for user_id in ids:
            await events.account_deleted(connection, user_id)
    return len(ids)
