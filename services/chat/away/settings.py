"""What users want to be pushed: of which kinds, with or without what was written, and not in their quiet hours."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from services.chat.away.models import PushSetting
from services.chat.errors import KindInvalid, TimeZoneInvalid
from services.chat.notifications.notifications import KINDS
from services.kit.context import Caller
from services.kit.sql.connection import AsyncConnection

MESSAGE = "message"
# A mention is in a message, which is pushed itself.
PUSHED_KINDS = (MESSAGE, *(kind for kind in KINDS if kind != "mention"))
DAY = 24 * 60  # minutes


class PushSettings(NamedTuple):
    """Quiet hours are minutes of the local day; equal: none."""

    content: bool = False
    quiet_from: int = 0
    quiet_until: int = 0
    time_zone: str = "UTC"
    muted_kinds: Sequence[str] = ()


async def get(connection: AsyncConnection, caller: Caller) -> PushSettings:
    columns = (getattr(PushSetting, name) for name in PushSettings._fields)
    row: Any = (await connection.execute(select(*columns).where(PushSetting.user_id == caller.user_id))).one_or_none()
    return PushSettings(*row) if row else PushSettings()


async def put(connection: AsyncConnection, caller: Caller, settings: PushSettings) -> None:
    """Raises KindInvalid, TimeZoneInvalid."""
    if not set(settings.muted_kinds) <= set(PUSHED_KINDS):
        raise KindInvalid
    if not (0 <= settings.quiet_from < DAY and 0 <= settings.quiet_until < DAY):
        raise TimeZoneInvalid
    zone_of(settings.time_zone)
    values = settings._asdict()
    row = insert(PushSetting).values(user_id=caller.user_id, **values)
    await connection.execute(row.on_conflict_do_update(index_elements=["user_id"], set_=values))


def zone_of(name: str) -> ZoneInfo:
    """Raises TimeZoneInvalid."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise TimeZoneInvalid from None


def quiet_until(settings: Any, now: datetime) -> datetime | None:
    """When the quiet hours end in which `now` lies; None outside them."""
    if settings.quiet_from == settings.quiet_until:
        return None
    local = now.astimezone(zone_of(settings.time_zone))
    minute = local.hour * 60 + local.minute
    if (minute - settings.quiet_from) % DAY >= (settings.quiet_until - settings.quiet_from) % DAY:
        return None
    end = local.replace(hour=settings.quiet_until // 60, minute=settings.quiet_until % 60, second=0, microsecond=0)
    if end <= local:
        end += timedelta(days=1)  # on the local clock, also where the day has 23 or 25 hours
    return end.astimezone(UTC)
