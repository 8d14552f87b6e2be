"""Members of conversations. They follow the social service's events, in whatever order these arrive.

Each member row stores the id of the last event applied to it; older events are ignored.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, func, insert, literal, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from services.chat.errors import ConversationNotFound
from services.chat.models import (
    ASKED,
    DECLINED,
    DIRECT,
    GROUP,
    LAST_EVENT_ID,
    NO_REQUEST,
    WAITING,
    Conversation,
    ConversationMember,
)
from services.chat.push import frames
from services.chat.push.frames import Push
from services.kit.context import Caller
from services.kit.sql.connection import AsyncConnection
from services.kit.sql.statements import Statement

# In the order of their ids, so that two transactions never wait for each other.
LOCK: Statement[Any] = Statement("""SELECT id, rev, last_seq, dismissed_at FROM conversation
 WHERE id = ANY(CAST(:ids AS bigint[])) ORDER BY id FOR UPDATE""")
Member = ConversationMember
CURRENT = Member.left_at.is_(None)
INSERTED = 1_000  # rows in one statement


async def require_member(connection: AsyncConnection, caller: Caller, conversation_id: int, lock: bool = False) -> Any:
    """The conversation with the caller's membership of it, locked if asked for. Raises ConversationNotFound."""
    query = (
        select(Conversation.__table__, Member.joined_seq, Member.read_seq, Member.delivered_seq)
        .join(Member, Member.conversation_id == Conversation.id)
        .where(Conversation.id == conversation_id, Member.user_id == caller.user_id, CURRENT)
    )
    if lock:
        query = query.with_for_update(of=Conversation)
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        raise ConversationNotFound
    return row


async def lock_conversation(connection: AsyncConnection, conversation_id: int) -> Row[Any]:
    """Raises ConversationNotFound."""
    query = select(Conversation.__table__).where(Conversation.id == conversation_id).with_for_update()
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        raise ConversationNotFound
    return row


async def lock_group(connection: AsyncConnection, group_id: int, new_id: int, title: str) -> Row[Any]:
    """The group's conversation, created if there is none."""
    created = upsert(Conversation).values(id=new_id, kind=GROUP, group_id=group_id, title=title)
    await connection.execute(created.on_conflict_do_nothing())
    query = select(Conversation.__table__).where(Conversation.group_id == group_id).with_for_update()
    return (await connection.execute(query)).one()


async def find_member(connection: AsyncConnection, conversation_id: int, user_id: int) -> Row[Any] | None:
    query = select(Member.__table__).where(Member.conversation_id == conversation_id, Member.user_id == user_id)
    return (await connection.execute(query)).one_or_none()


async def set_member(
    connection: AsyncConnection, conversation: Any, user_id: int, present: bool, event_id: int
) -> list[Push]:
    """Adds the user to a locked conversation or removes them, and returns what to push.

    The given row of the conversation is out of date afterwards.
    """
    row = await find_member(connection, conversation.id, user_id)
    if row and row.event_id > event_id:
        return []
    if present == bool(row and row.left_at is None) or (present and conversation.dismissed_at):
        await _record_event(connection, conversation, user_id, event_id)
        return []
    counted = {"rev": Conversation.rev + 1, "member_count": Conversation.member_count + (1 if present else -1)}
    change = update(Conversation).where(Conversation.id == conversation.id).values(counted)
    after = (await connection.execute(change.returning(Conversation.__table__))).one()
    values = _joined_now(after) if present else {"left_seq": after.last_seq, "left_at": func.now()}
    values |= {"rev": after.rev, "event_id": event_id}
    statement = upsert(Member).values(conversation_id=after.id, user_id=user_id, **values)
    changed = statement.on_conflict_do_update(index_elements=["conversation_id", "user_id"], set_=values)
    member = (await connection.execute(changed.returning(Member.__table__))).one()
    to_user = (
        frames.conversation_added(after, member) if present else frames.conversation_left(after.id, after.rev, user_id)
    )
    return [to_user, frames.member_changed(member)]


def _joined_now(conversation: Any) -> dict[str, Any]:
    """The columns of a member who may see, and has to read, only what comes from now on."""
    seq = conversation.last_seq
    seqs = dict.fromkeys(("joined_seq", "delivered_seq", "read_seq"), seq)
    return {**seqs, "joined_rev": conversation.rev, "left_seq": None, "left_at": None, "hidden_seq": None}


async def _record_event(connection: AsyncConnection, conversation: Any, user_id: int, event_id: int) -> None:
    """Stores the event's id, also for a user who is not a member, so that an older event cannot add them."""
    gone = {"rev": 0, "left_seq": conversation.last_seq, "left_at": func.now(), "event_id": event_id}
    row = upsert(Member).values(conversation_id=conversation.id, user_id=user_id, **gone)
    keys = ["conversation_id", "user_id"]
    await connection.execute(row.on_conflict_do_update(index_elements=keys, set_={"event_id": event_id}))


async def complete(
    connection: AsyncConnection, conversation: Any, user_ids: Sequence[int], title: str
) -> tuple[Any, list[Push]]:
    """Adds those members of a locked group conversation whom no event has named, and marks it as complete.

    Returns the conversation's row and what to push.
    """
    rev = conversation.rev + 1
    values = {**_joined_now(conversation), "conversation_id": conversation.id, "rev": rev, "joined_rev": rev}
    added: list[Any] = []
    for start in range(0, len(user_ids), INSERTED):
        rows = upsert(Member).values([{**values, "user_id": id} for id in user_ids[start : start + INSERTED]])
        added += (await connection.execute(rows.on_conflict_do_nothing().returning(Member.__table__))).all()
    change = update(Conversation).where(Conversation.id == conversation.id)
    count = Conversation.member_count + len(added)
    change = change.values(rev=rev, member_count=count, complete=True, title=title or Conversation.title)
    after = (await connection.execute(change.returning(Conversation.__table__))).one()
    return after, [frames.conversation_added(after, member) for member in added]


async def dismiss(connection: AsyncConnection, conversation: Any, event_id: int) -> list[Push]:
    """Removes all members of a locked group conversation for good, and returns what to push."""
    if conversation.dismissed_at:
        return []
    changes = {"rev": Conversation.rev + 1, "member_count": 0, "dismissed_at": func.now()}
    change = update(Conversation).where(Conversation.id == conversation.id).values(changes)
    after = (await connection.execute(change.returning(Conversation.__table__))).one()
    emptied = update(Conversation).where(Conversation.id == after.id).values(title="")  # nobody sees it any more
    await connection.execute(emptied)
    left = update(Member).where(Member.conversation_id == after.id, CURRENT)
    left = left.values(left_at=func.now(), left_seq=after.last_seq, rev=after.rev, event_id=event_id)
    user_ids = (await connection.execute(left.returning(Member.user_id))).scalars().all()
    gone = [frames.conversation_left(after.id, after.rev, user_id) for user_id in user_ids]
    return [frames.conversation_changed(after), *gone]


async def dismiss_group(connection: AsyncConnection, group_id: int) -> list[Push]:
    """Dismisses the group's conversation, if there is one, and returns what to push."""
    query = select(Conversation.__table__).where(Conversation.group_id == group_id).with_for_update()
    conversation: Any = (await connection.execute(query)).one_or_none()
    return await dismiss(connection, conversation, conversation.event_id) if conversation else []


async def leave_all(connection: AsyncConnection, user_id: int) -> list[Push]:
    """Removes a user whose account was deleted from all conversations, and returns what to push."""
    mine = select(Member.conversation_id).where(Member.user_id == user_id, CURRENT)
    locked = select(Conversation.id).where(Conversation.id.in_(mine)).order_by(Conversation.id).with_for_update()
    ids = (await connection.execute(locked)).scalars().all()
    counted = {"rev": Conversation.rev + 1, "member_count": Conversation.member_count - 1}
    await connection.execute(update(Conversation).where(Conversation.id.in_(ids)).values(counted))
    left = update(Member).where(Member.user_id == user_id, Member.conversation_id.in_(ids), CURRENT)
    left = left.where(Conversation.id == Member.conversation_id)
    changed = {"rev": Conversation.rev, "left_seq": Conversation.last_seq}
    values = changed | {"left_at": func.now(), "event_id": LAST_EVENT_ID}
    rows = (await connection.execute(left.values(values).returning(Member.__table__))).all()
    gone = [frames.conversation_left(row.conversation_id, row.rev, user_id) for row in rows]
    tombstones = await _tombstones(connection, ids, user_id)
    return [*gone, *map(frames.member_changed, rows), *tombstones]


async def _tombstones(connection: AsyncConnection, conversation_ids: Sequence[int], user_id: int) -> list[Push]:
    """For the peers of the user's direct conversations, who keep them."""
    query = select(Conversation.__table__).where(Conversation.id.in_(conversation_ids), Conversation.kind == DIRECT)
    rows = (await connection.execute(query)).all()
    return [frames.peer_gone(row.id, row.low_id + row.high_id - user_id) for row in rows]


async def create_direct(
    connection: AsyncConnection, new_id: int, low_id: int, high_id: int, asked_id: int = 0
) -> tuple[Any, list[Push]]:
    """The two users' conversation, created if there is none, and what to push.

    `asked_id`: the one of them who has not agreed to hear from the other; 0: none.
    Two who create it at the same time get the same one.
    """
    users = {"low_id": low_id, "high_id": high_id}
    row = upsert(Conversation).values(id=new_id, kind=DIRECT, **users, member_count=2, complete=True)
    table = Conversation.__table__
    created = (await connection.execute(row.on_conflict_do_nothing().returning(*table.columns))).one_or_none()
    if created is None:
        return (await connection.execute(select(table).filter_by(**users))).one(), []
    sides = {id: NO_REQUEST if not asked_id else ASKED if id == asked_id else WAITING for id in (low_id, high_id)}
    rows = [{"conversation_id": created.id, "user_id": id, "rev": 0, "request": side} for id, side in sides.items()]
    inserted = await connection.execute(insert(Member).values(rows).returning(Member.__table__))
    return created, [frames.conversation_added(created, member) for member in inserted]


async def current_among(connection: AsyncConnection, conversation_id: int, user_ids: Sequence[int]) -> Sequence[int]:
    """Those of the users who are members now, without one who has not answered a request."""
    query = select(Member.user_id).where(Member.conversation_id == literal(conversation_id), CURRENT)
    query = query.where(Member.request.not_in((ASKED, DECLINED)))
    return (await connection.execute(query.where(Member.user_id.in_(user_ids)))).scalars().all()
