"""How much one user may upload in a day, and keep in total."""

from sqlalchemy import func, select, text

from services.kit.sql.connection import AsyncConnection
from services.media.config import MediaSettings
from services.media.errors import QuotaExceeded, StorageExceeded
from services.media.models import Upload

DAY = text("interval '24 hours'")


async def lock_user(connection: AsyncConnection, user_id: int) -> None:
    """Counts the uploads of one user one at a time, until the end of the transaction."""
    await connection.execute(select(func.pg_advisory_xact_lock(user_id)))


async def require_quota(connection: AsyncConnection, settings: MediaSettings, user_id: int, size: int = 0) -> None:
    """Raises QuotaExceeded or StorageExceeded if `size` bytes more than the user has uploaded are too many."""
    of_today = func.sum(Upload.size).filter(Upload.created_at > func.now() - DAY)
    sums = select(func.coalesce(of_today, 0), func.coalesce(func.sum(Upload.size), 0))
    today, total = (await connection.execute(sums.where(Upload.user_id == user_id))).one()
    if today + size > settings.daily_bytes:
        raise QuotaExceeded
    if total + size > settings.total_bytes:
        raise StorageExceeded
