"""Accounts: finding, locking and changing their rows.

Where SMS is configured, a phone without proof opens nothing and hinders nobody who proves it (docs/contract/api.md,
"Consent").
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from psycopg.errors import UniqueViolation
from sqlalchemy import Row, func, or_, select, update
from sqlalchemy.exc import IntegrityError

from services.kit.sql.connection import AsyncConnection
from services.user import events
from services.user.errors import (
    AccountBanned,
    AccountDisabled,
    AccountSuspended,
    CodeInvalid,
    CredentialsWrong,
    EmailTaken,
    PhoneTaken,
    UsernameTaken,
    UserNotFound,
)
from services.user.models import Account
from services.user.service import Service

MAX_CODE = 20  # characters; what is longer is refused also where no code is asked for
# The accounts that may have sessions.
ADMITTED = (
    Account.disabled_at.is_(None),
    Account.deleted_at.is_(None),
    Account.banned_at.is_(None),
    or_(Account.suspended_until.is_(None), Account.suspended_until <= func.now()),
)
TAKEN = {
    "account_email_key": EmailTaken,
    "account_phone_key": PhoneTaken,
    "account_username_key_key": UsernameTaken,
}


async def find_account(service: Service, *which: Any) -> Row[Any] | None:
    """The account with those properties, deleted or not, in a transaction of its own."""
    async with service.database.transaction() as connection:
        return (await connection.execute(select(Account.__table__).where(*which))).one_or_none()


async def lock_account(connection: AsyncConnection, user_id: int) -> Row[Any]:
    """The account, locked: changes of a user's sessions, credentials and events happen one at a time.

    Raises UserNotFound.
    """
    query = select(Account.__table__).where(Account.id == user_id, Account.deleted_at.is_(None)).with_for_update()
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        raise UserNotFound
    return row


async def relock(connection: AsyncConnection, verified: Row[Any]) -> Row[Any]:
    """The account, locked after its password was verified outside a transaction.

    Raises CredentialsWrong if the password has changed since, or the account is gone.
    """
    try:
        current = await lock_account(connection, verified.id)
    except UserNotFound:
        raise CredentialsWrong from None
    if current.password_hash != verified.password_hash:
        raise CredentialsWrong
    return current


def require_admitted(account: Any) -> None:
    """Raises AccountDisabled, AccountBanned, AccountSuspended for an account that may not begin a session."""
    if account.disabled_at:
        raise AccountDisabled
    if account.banned_at:
        raise AccountBanned
    left = account.suspended_until and (account.suspended_until - datetime.now(UTC)).total_seconds()
    if left and left > 0:
        raise AccountSuspended(retry_after=left)


async def change_account(connection: AsyncConnection, user_id: int, **values: Any) -> None:
    """Writes the values and the time of the change."""
    await connection.execute(update(Account).where(Account.id == user_id).values(updated_at=func.now(), **values))


@contextmanager
def taken() -> Iterator[None]:
    """Turns a violated unique index into EmailTaken, PhoneTaken or UsernameTaken."""
    try:
        yield
    except IntegrityError as error:
        if isinstance(error.orig, UniqueViolation) and error.orig.diag.constraint_name in TAKEN:
            raise TAKEN[error.orig.diag.constraint_name] from None
        raise


async def prove_phone(service: Service, phone: str, code: str, purpose: str, ip: str) -> datetime | None:
    """When the phone was proven: now, if a code was given; None without SMS or a code. Raises CodeInvalid."""
    if len(code) > MAX_CODE:
        raise CodeInvalid
    if not service.sms.is_on or not code:
        return None
    await service.codes.redeem(phone, code, purpose, ip)
    return datetime.now(UTC)


async def lock_phone_holder(connection: AsyncConnection, phone: str, user_id: int = 0) -> None:
    """Locks the phone's holder and the user in the order of their ids, so that two who swap phones do not deadlock."""
    ids = [user_id, *(await connection.execute(select(Account.id).where(Account.phone == phone))).scalars()]
    await connection.execute(select(Account.id).where(Account.id.in_(ids)).order_by(Account.id).with_for_update())


async def take_phone_from_others(connection: AsyncConnection, phone: str, user_id: int, *which: Any) -> None:
    """Takes the phone from every other user that matches `which`: this user has proven that it is theirs."""
    others = update(Account).where(Account.phone == phone, Account.id != user_id, *which)
    gone = others.values(phone=None, phone_proven_at=None).returning(Account.id)
    for loser in (await connection.execute(gone)).scalars().all():
        await events.profile_updated(connection, loser)
