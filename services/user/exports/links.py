"""Links by which users download what hitok holds of them: mailed, signed, and good for a day.

The archive is made while it is downloaded (docs/adr/0034-exports-are-made-while-they-are-downloaded.md).
"""

from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from services.kit.context import Caller
from services.kit.errors import HitokError
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


class Link(NamedTuple):
    """`url` is "" if it was mailed."""

    requested_at: datetime
    expires_at: datetime
    mailed: bool
    url: str = ""


async def request(service: Service, caller: Caller, password: str, address: str) -> Link:
    """Raises UserNotFound, CredentialsWrong, TooManyGuesses, Overloaded, TooManyExports, MailFailed."""
    account = await verify_own_password(service, caller, password)
    async with service.database.transaction() as connection:
        await relock(connection, account)
        await _require_turn(connection, account.id)
        row = await replace(connection, account.id, service.new_id())
    url = url_of(service.settings.internal_secret, address, row.id)
    if not account.email:
        return Link(row.requested_at, row.expires_at, mailed=False, url=url)
    try:
        await service.mailer.send_export_link(account.email, url, int(GOOD_FOR.total_seconds() // 3_600))
    except HitokError:
        async with service.database.transaction() as connection:
            await connection.execute(delete(ExportLink).where(ExportLink.id == row.id))  # so that they can try again
        raise
    return Link(row.requested_at, row.expires_at, mailed=True)


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


async def replace(connection: AsyncConnection, user_id: int, id: int) -> Any:
    """Makes a new link of a locked account, which voids the one before it."""
    values = {"id": id, "requested_at": func.now(), "expires_at": func.now() + GOOD_FOR, "opened_at": None}
    row = insert(ExportLink).values(user_id=user_id, **values)
    replaced = row.on_conflict_do_update(index_elements=(ExportLink.user_id,), set_=values)
    return (await connection.execute(replaced.returning(ExportLink.__table__))).one()


async def find(connection: AsyncConnection, caller: Caller) -> Link | None:
    """The caller's link, if it is still good."""
    query = select(ExportLink.__table__, Account.email).join(Account, Account.id == ExportLink.user_id)
    row = (await connection.execute(query.where(ExportLink.user_id == caller.user_id, GOOD))).one_or_none()
    return Link(row.requested_at, row.expires_at, mailed=bool(row.email)) if row else None


async def open_link(connection: AsyncConnection, service: Service, key: str) -> Any:
    """The id and role of the user whose link it is. Raises ExportNotFound."""
    try:
        id = read_key(service.settings.internal_secret, PURPOSE, key)
    except CodeInvalid:
        raise ExportNotFound from None
    opened = update(ExportLink).where(ExportLink.id == id, GOOD).values(opened_at=func.now())
    user_id = (await connection.execute(opened.returning(ExportLink.user_id))).scalar_one_or_none()
    live = (Account.id == user_id, Account.deleted_at.is_(None))
    account = (await connection.execute(select(Account.id, Account.role).where(*live))).one_or_none()
    if account is None:
        raise ExportNotFound
    return account


async def forget(connection: AsyncConnection, user_id: int) -> None:
    await connection.execute(delete(ExportLink).where(ExportLink.user_id == user_id))
