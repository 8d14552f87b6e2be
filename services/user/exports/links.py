"""Links by which users download what hitok holds of them: signed, and good for a day.

A gateway counts what there is (preparation.py); then the link is mailed. The archive is made while it is downloaded
(docs/adr/0034-exports-are-made-while-they-are-downloaded.md).
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Row, delete, func, insert, select, update

from services.kit.context import Caller
from services.kit.sql.connection import AsyncConnection
from services.user.accounts import relock
from services.user.credentials import verify_own_password
from services.user.errors import CodeInvalid, ExportNotFound, TooManyExports
from services.user.models import Account, ExportLink
from services.user.proofs.keys import make_key, read_key
from services.user.service import Service

GOOD_FOR = timedelta(days=1)
NEXT_AFTER = timedelta(hours=1)
PURPOSE = "export"
DOWNLOAD = "/api/user/export/download"  # of the gateway, for links that operators make
GOOD = ExportLink.expires_at > func.now()
OF_ITS_USER = (Account.id == ExportLink.user_id, Account.deleted_at.is_(None))


async def request(service: Service, caller: Caller, password: str, address: str) -> tuple[Any, str]:
    """The row of the new export, and the link to it of an account without an email.

    Raises UserNotFound, CredentialsWrong, TooManyGuesses, Overloaded, TooManyExports.
    """
    account = await verify_own_password(service, caller, password)
    async with service.database.transaction() as connection:
        await relock(connection, account)
        await _require_turn(connection, account.id)
        row = await replace(connection, account.id, service.new_id(), address=address, ready_at=None)
    return row, "" if account.email else url_of(service.settings.internal_secret, address, row.id)


def url_of(internal_secret: str, address: str, id: int) -> str:
    return f"{address}?key={make_key(internal_secret, PURPOSE, id)}"


async def _require_turn(connection: AsyncConnection, user_id: int) -> None:
    """Raises TooManyExports. The account is locked, so there is no other request of this user meanwhile."""
    requested_at = (
        await connection.execute(select(ExportLink.requested_at).where(ExportLink.user_id == user_id))
    ).scalar_one_or_none()
    wait = requested_at + NEXT_AFTER - datetime.now(UTC) if requested_at else timedelta()
    if wait > timedelta():
        raise TooManyExports(retry_after=wait.total_seconds())


async def replace(connection: AsyncConnection, user_id: int, id: int, **values: Any) -> Any:
    """Makes a new link of a locked account, which voids the one before it."""
    await forget(connection, user_id)
    row = insert(ExportLink).values(user_id=user_id, id=id, expires_at=func.now() + GOOD_FOR, **values)
    return (await connection.execute(row.returning(ExportLink.__table__))).one()


async def find(connection: AsyncConnection, caller: Caller) -> Row[Any] | None:
    """The caller's export, if its link is still good, with the account's email."""
    query = select(ExportLink.__table__, Account.email).join(Account, Account.id == ExportLink.user_id)
    return (await connection.execute(query.where(ExportLink.user_id == caller.user_id, GOOD))).one_or_none()


async def open_link(connection: AsyncConnection, service: Service, key: str) -> Any:
    """The id of the export, and id and role of its user. Raises ExportNotFound."""
    try:
        id = read_key(service.settings.internal_secret, PURPOSE, key)
    except CodeInvalid:
        raise ExportNotFound from None
    opened = update(ExportLink).where(ExportLink.id == id, GOOD, *OF_ITS_USER).values(opened_at=func.now())
    row = (await connection.execute(opened.returning(ExportLink.id, ExportLink.user_id, Account.role))).one_or_none()
    if row is None:
        raise ExportNotFound
    return row


async def forget(connection: AsyncConnection, user_id: int) -> None:
    await connection.execute(delete(ExportLink).where(ExportLink.user_id == user_id))


async def sweep(connection: AsyncConnection) -> None:
    """Deletes links that have expired."""
    await connection.execute(delete(ExportLink).where(ExportLink.expires_at < func.now()))
