"""Exports that wait for their link: a gateway claims one, counts what there is, and reports how far it is.

A claim that is not renewed ends after a minute. So another gateway prepares what a restart left undone, and a mail that
failed is sent again.
"""

from datetime import timedelta
from typing import Any

from sqlalchemy import func, select, update

from services.kit.sql.connection import AsyncConnection
from services.user.exports.links import GOOD, GOOD_FOR, OF_ITS_USER, url_of
from services.user.models import Account, ExportLink
from services.user.service import Service

CLAIMED_FOR = timedelta(minutes=1)
WAITING = (ExportLink.ready_at.is_(None), GOOD)


async def claim(connection: AsyncConnection) -> Any:
    """Id, user and role of the export that waits longest and that nobody has claimed; None if there is none."""
    free = func.coalesce(ExportLink.claimed_until, func.now()) <= func.now()
    first = select(ExportLink.id).where(*WAITING, free).order_by(ExportLink.requested_at).limit(1)
    claimed = update(ExportLink).where(ExportLink.id.in_(first.with_for_update(skip_locked=True)), *OF_ITS_USER)
    claimed = claimed.values(claimed_until=func.now() + CLAIMED_FOR)
    returned = claimed.returning(ExportLink.id, ExportLink.user_id, Account.role)
    return (await connection.execute(returned)).one_or_none()


async def report(connection: AsyncConnection, id: int, done: int, total: int) -> bool:
    """Notes how far it is, and keeps it claimed. False if it is wanted no longer."""
    values = {"done": done, "total": total, "claimed_until": func.now() + CLAIMED_FOR}
    noted = update(ExportLink).where(ExportLink.id == id, *WAITING).values(values).returning(ExportLink.id)
    return (await connection.execute(noted)).one_or_none() is not None


async def finish(service: Service, id: int, **size: int) -> None:
    """Mails the link; from then on it is good for a day. Does nothing if it is wanted no longer. Raises MailFailed."""
    noted = (
        update(ExportLink)
        .where(ExportLink.id == id, *WAITING, *OF_ITS_USER)
        .values(**size, done=ExportLink.total, claimed_until=func.now() + CLAIMED_FOR)
    )
    async with service.database.transaction() as connection:
        row = (await connection.execute(noted.returning(ExportLink.address, Account.email))).one_or_none()
    if row is None:
        return
    if row.email:
        url = url_of(service.settings.internal_secret, row.address, id)
        await service.mailer.send_export_link(row.email, url, int(GOOD_FOR.total_seconds() // 3_600))
    ready = update(ExportLink).where(ExportLink.id == id, *WAITING)
    async with service.database.transaction() as connection:
        await connection.execute(ready.values(ready_at=func.now(), expires_at=func.now() + GOOD_FOR))


async def report_download(connection: AsyncConnection, id: int, sent: int, complete: bool) -> None:
    at = func.now() if complete else ExportLink.downloaded_at
    noted = update(ExportLink).where(ExportLink.id == id)
    await connection.execute(noted.values(downloaded_bytes=sent, downloaded_at=at))
