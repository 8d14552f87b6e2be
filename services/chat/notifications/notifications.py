"""Notifications: the row is the truth, and the live frame announces it. Unread ones of the same topic share a row."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import Row, delete, func, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from services.chat.apart import apart_from
from services.chat.errors import KindInvalid
from services.chat.models import QUOTING, Block, Notification, NotificationMute
from services.chat.notifications import mutes as muting
from services.chat.push import frames
from services.chat.push.frames import Push
from services.kit.context import Caller
from services.kit.ids import IdGenerator
from services.kit.pages import check_batch, clamp

KINDS = (
    "friend_request", "friend_accepted", "friend_added", "group_request", "group_joined", "group_invited",
    "like", "comment", "reply", "comment_like", "mention", "video_ready", "video_failed",
    "moderation", "moderation_reversed", "appeal_decided", "report_closed",
)  # fmt: skip
ALWAYS_HEARD = ("moderation", "moderation_reversed", "appeal_decided", "report_closed")  # kinds that nobody can mute
ABOUT_OWN_DOING = ("video_ready", "video_failed", *ALWAYS_HEARD)  # kinds about the receiver's own action
MAX_LIMIT, MAX_UNREAD, MAX_MARKED = 100, 100, 500
MAX_ACTORS = 500  # remembered, so that a user who does it twice counts once
JOINS_SINCE = text("now() - interval '24 hours'")
# Two transactions that would join the same row take turns. The key is the user's id.
LOCK = text("SELECT pg_advisory_xact_lock(id) FROM unnest(CAST(:ids AS bigint[])) AS id")
UNREAD = Notification.read_at.is_(None)


class NewNotification(NamedTuple):
    """A notification to `user_id`. Those of the same `topic` share a row while it is unread; "" shares with none."""

    user_id: int
    kind: str
    actor_id: int
    subject: dict[str, Any]
    topic: str = ""
    text: str = ""  # what its actor wrote, for the words that the receiver muted; it is not stored


async def add(
    connection: AsyncConnection, new_id: IdGenerator, event: str, notifications: Sequence[NewNotification]
) -> list[Push]:
    """Writes those that their receivers want, and returns what to push. The same `event` again writes nothing."""
    pushes: list[Push] = []
    for new in await _wanted(connection, notifications):
        row = await _join(connection, new) or await _insert(connection, new_id(), event, new)
        if row is not None and row.actor_ids[0] == new.actor_id:
            pushes.append(frames.notified(row))
    return pushes


async def _wanted(connection: AsyncConnection, notifications: Sequence[NewNotification]) -> list[NewNotification]:
    """Leaves out what the receivers did themselves, what they muted, and what users did who are apart from them."""
    new_to_them = [
        new for new in notifications if new.user_id > 0 and (new.user_id != new.actor_id or new.kind in ABOUT_OWN_DOING)
    ]
    user_ids = sorted({new.user_id for new in new_to_them})
    if not user_ids:
        return []
    if any(new.topic for new in new_to_them):
        await connection.execute(LOCK, {"ids": user_ids})
    muted = select(NotificationMute.user_id, NotificationMute.kind).where(NotificationMute.user_id.in_(user_ids))
    mutes = {tuple(row) for row in await connection.execute(muted)}
    apart = await apart_from(connection, user_ids)
    wanted = [
        new
        for new in new_to_them
        if (new.user_id, new.kind) not in mutes and new.actor_id not in apart.get(new.user_id, ())
    ]
    return await muting.unmuted(connection, wanted)


async def _join(connection: AsyncConnection, new: NewNotification) -> Any | None:
    """Adds the actor to an unread row of the same topic, and returns that row, if there is one."""
    if not new.topic:
        return None
    same = (Notification.user_id == new.user_id, Notification.topic == new.topic)
    query = select(Notification.__table__).where(*same, UNREAD, Notification.created_at > JOINS_SINCE)
    row = (await connection.execute(query.order_by(Notification.id.desc()).limit(1))).one_or_none()
    if row is None:
        return None
    others = [id for id in row.actor_ids if id != new.actor_id]
    count = row.actor_count + (len(others) == len(row.actor_ids))
    values = {"actor_ids": [new.actor_id, *others][:MAX_ACTORS], "actor_count": count}
    statement = update(Notification).where(Notification.id == row.id)
    joined = statement.values(**values, created_at=func.now()).returning(Notification.__table__)
    return (await connection.execute(joined)).one()


async def _insert(connection: AsyncConnection, id: int, event: str, new: NewNotification) -> Any | None:
    """The new row; None if the event has written one already."""
    row = upsert(Notification).values(
        id=id,
        user_id=new.user_id,
        kind=new.kind,
        event=event,
        topic=new.topic,
        actor_ids=[new.actor_id],
        actor_count=1,
        subject=new.subject,
    )
    return (await connection.execute(row.on_conflict_do_nothing().returning(Notification.__table__))).one_or_none()


async def list_notifications(
    connection: AsyncConnection, caller: Caller, before: int, limit: int
) -> tuple[Sequence[Row[Any]], int]:
    """The caller's notifications, newest first, without those by users whom they have muted since, and how many are
    unread, up to MAX_UNREAD."""
    mine, shown = Notification.user_id == caller.user_id, muting.is_shown(caller.user_id)
    query = select(Notification.__table__).where(mine, shown).order_by(Notification.id.desc())
    if before > 0:
        query = query.where(Notification.id < before)
    rows = (await connection.execute(query.limit(clamp(limit, MAX_LIMIT)))).all()
    # The ids from the index alone; the rows of those few then.
    unread = select(Notification.id).where(mine, UNREAD).limit(MAX_UNREAD).subquery()
    counted = select(func.count()).select_from(unread.join(Notification, Notification.id == unread.c.id)).where(shown)
    return rows, (await connection.execute(counted)).scalar_one()


async def mark_read(connection: AsyncConnection, caller: Caller, ids: Sequence[int], all: bool) -> None:
    """Marks those, or all. Raises BatchTooLarge."""
    check_batch(ids, MAX_MARKED)
    statement = update(Notification).where(Notification.user_id == caller.user_id, UNREAD)
    if not all:
        statement = statement.where(Notification.id.in_(ids))
    await connection.execute(statement.values(read_at=func.now()))


async def set_muted(connection: AsyncConnection, caller: Caller, kind: str, muted: bool) -> None:
    """Raises KindInvalid."""
    if kind not in KINDS or kind in ALWAYS_HEARD:
        raise KindInvalid
    if muted:
        row = upsert(NotificationMute).values(user_id=caller.user_id, kind=kind)
        await connection.execute(row.on_conflict_do_nothing())
        return
    mine = (NotificationMute.user_id == caller.user_id, NotificationMute.kind == kind)
    await connection.execute(delete(NotificationMute).where(*mine))


async def erase_user(connection: AsyncConnection, user_id: int) -> None:
    """Deletes what the user was told, and what others were told in the user's words."""
    for model in (Notification, NotificationMute, Block):
        await connection.execute(delete(model).where(model.user_id == user_id))
    await connection.execute(delete(Block).where(Block.blocked_id == user_id))
    quoting = delete(Notification).where(Notification.actor_ids[1] == user_id, text(QUOTING))
    await connection.execute(quoting)


async def set_block(connection: AsyncConnection, user_id: int, blocked_id: int, blocked: bool, event_id: int) -> None:
    """Stores what the newest event says, in whatever order events arrive."""
    values = {"blocked": blocked, "event_id": event_id}
    row = upsert(Block).values(user_id=user_id, blocked_id=blocked_id, **values)
    newer = row.on_conflict_do_update(
        index_elements=["user_id", "blocked_id"], set_=values, where=Block.event_id < event_id
    )
    await connection.execute(newer)
