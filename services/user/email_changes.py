"""Replaced emails: the old address gets a mail, with which its holder can undo the change for 72 hours.

The key in the mail is derived from the row's id. So a mail that failed can be written again, and no key is stored.
"""

import asyncio
from contextlib import suppress
from datetime import timedelta
from typing import Any

import structlog
from sqlalchemy import Row, delete, func, insert, select, update
from sqlalchemy.exc import SQLAlchemyError

from services.kit.db import after_commit
from services.kit.sql.connection import AsyncConnection
from services.user import events, sessions
from services.user.accounts import change_account, lock_account
from services.user.errors import CodeInvalid, MailFailed, UserNotFound
from services.user.models import EmailChange
from services.user.proofs.keys import make_key, read_key
from services.user.service import Service

UNDO_FOR = timedelta(hours=72)
RETRY_AFTER = timedelta(seconds=60)
LOOK_EVERY = 30.0  # seconds; a change of this process does not wait
BATCH = 20  # mails

PURPOSE = "undo email change"  # of the key

log = structlog.get_logger("email_changes")


async def record(connection: AsyncConnection, service: Service, account: Row[Any]) -> None:
    """Records that the email of a locked account is about to be replaced."""
    if account.email:
        values = {"id": service.new_id(), "user_id": account.id, "old_email": account.email}
        await connection.execute(insert(EmailChange).values(values))
        after_commit(connection, service.email_replaced.set)


async def undo(connection: AsyncConnection, service: Service, key: str) -> None:
    """Restores the address, ends all sessions and voids the password. Later changes can then no longer be undone.

    The user who replaced the address knew the password, so only a code mailed to the old address opens the account
    again. Does nothing if the account has this address already. Raises CodeInvalid and, from the unique index,
    EmailTaken.
    """
    change_id = read_key(service.settings.internal_secret, PURPOSE, key)
    query = select(EmailChange.__table__).where(
        EmailChange.id == change_id, EmailChange.changed_at > func.now() - UNDO_FOR
    )
    change = (await connection.execute(query)).one_or_none()
    if change is None:
        raise CodeInvalid
    try:
        account = await lock_account(connection, change.user_id)
    except UserNotFound:
        raise CodeInvalid from None
    if account.email == change.old_email:
        return
    if (await connection.execute(query)).one_or_none() is None:  # an older change was undone before we got the lock
        raise CodeInvalid
    later = (EmailChange.user_id == account.id, EmailChange.id > change.id)
    await connection.execute(delete(EmailChange).where(*later))
    await change_account(connection, account.id, email=change.old_email, password_hash="")
    await sessions.revoke(connection, account.id)
    await events.profile_updated(connection, account.id)


async def tell_old_addresses(service: Service) -> None:
    """Sends the waiting mails; runs in the background for ever."""
    while True:
        service.email_replaced.clear()
        try:
            await tell_waiting(service)
        except SQLAlchemyError as error:
            log.warning("telling old addresses failed", error=repr(error)[:200])
        with suppress(TimeoutError):
            await asyncio.wait_for(service.email_replaced.wait(), LOOK_EVERY)


async def tell_waiting(service: Service) -> None:
    """Mails each old address that has not got its mail yet. A mail that failed is tried again after RETRY_AFTER.

    Deletes changes that can no longer be undone.
    """
    async with service.database.transaction() as connection:
        await connection.execute(delete(EmailChange).where(EmailChange.changed_at < func.now() - UNDO_FOR))
        changes = (await connection.execute(_take_waiting())).all()
    for change in changes:
        try:
            hours = int(UNDO_FOR.total_seconds() // 3_600)
            await service.mailer.tell_email_changed(
                change.old_email, make_key(service.settings.internal_secret, PURPOSE, change.id), hours
            )
        except MailFailed:
            continue
        async with service.database.transaction() as connection:
            told = update(EmailChange).where(EmailChange.id == change.id).values(next_try_at=None)
            await connection.execute(told)


async def forget(connection: AsyncConnection, user_id: int) -> None:
    await connection.execute(delete(EmailChange).where(EmailChange.user_id == user_id))


def _take_waiting() -> Any:
    """Claims changes, so that no other process mails them at the same time."""
    due = select(EmailChange.id).where(EmailChange.next_try_at <= func.now()).limit(BATCH)
    some = due.with_for_update(skip_locked=True)
    taken = update(EmailChange).where(EmailChange.id.in_(some)).values(next_try_at=func.now() + RETRY_AFTER)
    return taken.returning(EmailChange.id, EmailChange.old_email)
