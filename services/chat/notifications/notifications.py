"""Notifications: the row is the truth, and the live frame announces it. Unread ones of the same topic share a row."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import Row, delete, func, select, text, true, update
from sqlalchemy.dialects.postgresql import insert as upsert

from services.chat.apart import store_block
from services.chat.errors import KindInvalid
from services.chat.models import QUOTING, Block, Notification, NotificationMute
from services.chat.notifications import mutes as muting
from services.kit.context import Caller
from services.kit.pages import check_batch, clamp
from services.kit.sql.connection import AsyncConnection

KINDS = (
    "friend_request", "friend_accepted", "friend_added", "group_request", "group_joined", "group_invited",
    "follow", "follow_request", "follow_accepted",
    "like", "comment", "reply", "comment_like", "mention", "video_mention", "comment_mention", "reaction",
    "video_ready", "video_failed",
    "moderation", "moderation_reversed", "appeal_decided", "report_closed",
)  # fmt: skip
ALWAYS_HEARD = ("moderation", "moderation_reversed", "appeal_decided", "report_closed")  # kinds that nobody can mute
ABOUT_OWN_DOING = ("video_ready", "video_failed", *ALWAYS_HEARD)  # kinds about the receiver's own action
MAX_LIMIT, MAX_UNREAD, MAX_MARKED = 100, 100, 500
MAX_ACTORS = 500  # remembered, so that a user who does it twice counts once
UNREAD = Notification.read_at.is_(None)


class NewNotification(NamedTuple):
    """A notification to `user_id`. Those of the same `topic` share a row while it is unread; "" shares with none."""

    user_id: int
    kind: str
    actor_id: int
    subject: dict[str, Any]
    topic: str = ""
    text: str = ""  # what its actor wrote, for the words that the receiver muted; it is not stored


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
    # The ids from the index of those unread alone, which has this order; the rows of those few then.
    indexed = select(Notification.id).where(mine, UNREAD).order_by(Notification.topic, Notification.id)
    unread = indexed.limit(MAX_UNREAD).subquery()
    # One by one: the planner would rather read the whole table than look for MAX_UNREAD of its rows.
    kept = select(Notification.id).where(Notification.id == unread.c.id, shown).limit(1).lateral()
    counted = select(func.count()).select_from(unread.join(kept, true()))
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
    if blocked:
        await store_block(connection, user_id, blocked_id, event_id, Block.event_id < event_id)
        return
    values = {"blocked": blocked, "event_id": event_id}
    row = upsert(Block).values(user_id=user_id, blocked_id=blocked_id, **values)
    newer = row.on_conflict_do_update(
        index_elements=["user_id", "blocked_id"], set_=values, where=Block.event_id < event_id
    )
    await connection.execute(newer)
