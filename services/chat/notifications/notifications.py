"""Notifications: rows, of which the live frame only tells; several of one topic that wait unread are one."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import Row, delete, func, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from services.chat.errors import BatchTooLarge, KindInvalid
from services.chat.models import Block, Notification, NotificationMute
from services.chat.push import frames
from services.chat.push.frames import Push
from services.kit.context import Caller
from services.kit.ids import IdGenerator

KINDS = (
    "friend_request", "friend_accepted", "friend_added", "group_request", "group_joined", "group_invited",
    "like", "comment", "reply", "comment_like", "mention",
)  # fmt: skip
MAX_LIMIT, MAX_UNREAD, MAX_MARKED = 100, 100, 500
MAX_ACTORS = 500  # remembered, so that who does it twice counts once
TOGETHER = text("now() - interval '24 hours'")
# Of two that would join one row at once, one waits. The same key as the social service's: the user's id.
LOCK = text("SELECT pg_advisory_xact_lock(id) FROM unnest(CAST(:ids AS bigint[])) AS id")
UNREAD = Notification.read_at.is_(None)


class Notice(NamedTuple):
    """What one user may want to know; those of one `topic` are told together."""

    user_id: int
    kind: str
    actor_id: int
    subject: dict[str, Any]
    topic: str = ""


async def add(connection: AsyncConnection, new_id: IdGenerator, event: str, notices: Sequence[Notice]) -> list[Push]:
    """Writes what its receiver wants to hear; `event` twice is once."""
    wanted = await _wanted(connection, notices)
    made: list[Push] = []
    for notice in wanted:
        row = await _join(connection, notice) or await _insert(connection, new_id(), event, notice)
        if row is not None and row.actor_ids[0] == notice.actor_id:
            made.append(frames.notified(row))
    return made


async def _wanted(connection: AsyncConnection, notices: Sequence[Notice]) -> list[Notice]:
    """Nobody is told what he did himself, what he muted, or what one did whom he blocked."""
    foreign = [notice for notice in notices if notice.user_id != notice.actor_id and notice.user_id > 0]
    user_ids = sorted({notice.user_id for notice in foreign})
    if not user_ids:
        return []
    if any(notice.topic for notice in foreign):
        await connection.execute(LOCK, {"ids": user_ids})
    muted = select(NotificationMute.user_id, NotificationMute.kind).where(NotificationMute.user_id.in_(user_ids))
    actor_ids = {notice.actor_id for notice in foreign}
    blocked = select(Block.user_id, Block.blocked_id).where(
        Block.user_id.in_(user_ids), Block.blocked_id.in_(actor_ids), Block.blocked
    )
    mutes = {tuple(row) for row in await connection.execute(muted)}
    blocks = {tuple(row) for row in await connection.execute(blocked)}
    return [
        notice
        for notice in foreign
        if (notice.user_id, notice.kind) not in mutes and (notice.user_id, notice.actor_id) not in blocks
    ]


async def _join(connection: AsyncConnection, notice: Notice) -> Any | None:
    """The row that the notice joined."""
    if not notice.topic:
        return None
    same = (Notification.user_id == notice.user_id, Notification.topic == notice.topic)
    query = select(Notification.__table__).where(*same, UNREAD, Notification.created_at > TOGETHER)
    row = (await connection.execute(query.order_by(Notification.id.desc()).limit(1))).one_or_none()
    if row is None:
        return None
    others = [id for id in row.actor_ids if id != notice.actor_id]
    new = len(others) == len(row.actor_ids)
    values = {"actor_ids": [notice.actor_id, *others][:MAX_ACTORS], "actor_count": row.actor_count + new}
    statement = update(Notification).where(Notification.id == row.id)
    joined = statement.values(**values, created_at=func.now()).returning(Notification.__table__)
    return (await connection.execute(joined)).one()


async def _insert(connection: AsyncConnection, id: int, event: str, notice: Notice) -> Any | None:
    """None if the event made one before."""
    row = upsert(Notification).values(
        id=id,
        user_id=notice.user_id,
        kind=notice.kind,
        event=event,
        topic=notice.topic,
        actor_ids=[notice.actor_id],
        actor_count=1,
        subject=notice.subject,
    )
    return (await connection.execute(row.on_conflict_do_nothing().returning(Notification.__table__))).one_or_none()


async def list_notifications(
    connection: AsyncConnection, caller: Caller, before: int, limit: int
) -> tuple[Sequence[Row[Any]], int]:
    """Newest first, and how many are unread, up to MAX_UNREAD."""
    mine = Notification.user_id == caller.user_id
    query = select(Notification.__table__).where(mine).order_by(Notification.id.desc())
    if before > 0:
        query = query.where(Notification.id < before)
    rows = (await connection.execute(query.limit(min(max(limit, 1), MAX_LIMIT)))).all()
    unread = select(Notification.id).where(mine, UNREAD).limit(MAX_UNREAD).subquery()
    return rows, (await connection.execute(select(func.count()).select_from(unread))).scalar_one()


async def mark_read(connection: AsyncConnection, caller: Caller, ids: Sequence[int], all: bool) -> None:
    """Raises BatchTooLarge."""
    if len(ids) > MAX_MARKED:
        raise BatchTooLarge
    statement = update(Notification).where(Notification.user_id == caller.user_id, UNREAD)
    if not all:
        statement = statement.where(Notification.id.in_(ids))
    await connection.execute(statement.values(read_at=func.now()))


async def set_muted(connection: AsyncConnection, caller: Caller, kind: str, muted: bool) -> None:
    """Raises KindInvalid."""
    if kind not in KINDS:
        raise KindInvalid
    if muted:
        row = upsert(NotificationMute).values(user_id=caller.user_id, kind=kind)
        await connection.execute(row.on_conflict_do_nothing())
        return
    mine = (NotificationMute.user_id == caller.user_id, NotificationMute.kind == kind)
    await connection.execute(delete(NotificationMute).where(*mine))


async def forget_user(connection: AsyncConnection, user_id: int) -> None:
    for model in (Notification, NotificationMute, Block):
        await connection.execute(delete(model).where(model.user_id == user_id))


async def note_block(connection: AsyncConnection, user_id: int, blocked_id: int, blocked: bool, event_id: int) -> None:
    """What the newest event says counts, whatever order they come in."""
    values = {"blocked": blocked, "event_id": event_id}
    row = upsert(Block).values(user_id=user_id, blocked_id=blocked_id, **values)
    newer = row.on_conflict_do_update(
        index_elements=["user_id", "blocked_id"], set_=values, where=Block.event_id < event_id
    )
    await connection.execute(newer)
