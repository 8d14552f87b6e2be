"""Members of conversations: they follow the social service's events, whatever order these come in.

A row stands on the event with the highest id that named it; what is older changes nothing.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, func, insert, literal, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from services.chat.errors import ConversationNotFound, NotMember
from services.chat.models import FOR_GOOD, GROUP, Conversation, ConversationMember
from services.chat.push import frames, outbox
from services.chat.push.frames import Push
from services.kit.context import Caller

Member = ConversationMember
LIVE = Member.left_at.is_(None)


async def require_member(connection: AsyncConnection, caller: Caller, conversation_id: int, lock: bool = False) -> Any:
    """The conversation and the caller's place in it; locked if asked for. Raises ConversationNotFound."""
    query = (
        select(Conversation.__table__, Member.joined_seq, Member.read_seq, Member.delivered_seq)
        .join(Member, Member.conversation_id == Conversation.id)
        .where(Conversation.id == conversation_id, Member.user_id == caller.user_id, LIVE)
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
    """The group's conversation, made if there is none."""
    made = upsert(Conversation).values(id=new_id, kind=GROUP, group_id=group_id, title=title)
    await connection.execute(made.on_conflict_do_nothing())
    query = select(Conversation.__table__).where(Conversation.group_id == group_id).with_for_update()
    return (await connection.execute(query)).one()


async def find_member(connection: AsyncConnection, conversation_id: int, user_id: int) -> Row[Any] | None:
    query = select(Member.__table__).where(Member.conversation_id == conversation_id, Member.user_id == user_id)
    return (await connection.execute(query)).one_or_none()


async def set_member(
    connection: AsyncConnection, conversation: Any, user_id: int, present: bool, event_id: int
) -> list[Push]:
    """Lets him into a locked conversation, or out of it; what is to be pushed. `conversation` gets old by it."""
    row = await find_member(connection, conversation.id, user_id)
    if row and row.event_id > event_id:
        return []
    if present == bool(row and row.left_at is None) or (present and conversation.dismissed_at):
        await _stand_on(connection, conversation, user_id, event_id)
        return []
    counted = {"rev": Conversation.rev + 1, "member_count": Conversation.member_count + (1 if present else -1)}
    change = update(Conversation).where(Conversation.id == conversation.id).values(counted)
    after = (await connection.execute(change.returning(Conversation.__table__))).one()
    values = _joined(after) if present else {"left_seq": after.last_seq, "left_at": func.now()}
    values |= {"rev": after.rev, "event_id": event_id}
    statement = upsert(Member).values(conversation_id=after.id, user_id=user_id, **values)
    changed = statement.on_conflict_do_update(index_elements=["conversation_id", "user_id"], set_=values)
    member = (await connection.execute(changed.returning(Member.__table__))).one()
    mine = (
        frames.conversation_added(after, user_id, member.read_seq)
        if present
        else frames.conversation_left(after.id, after.rev, user_id)
    )
    return [mine, frames.member_changed(member)]


def _joined(conversation: Any) -> dict[str, Any]:
    """He sees, and has to read, what comes from now on."""
    seq = conversation.last_seq
    places = dict.fromkeys(("joined_seq", "delivered_seq", "read_seq"), seq)
    return {**places, "joined_rev": conversation.rev, "left_seq": None, "left_at": None}


async def _stand_on(connection: AsyncConnection, conversation: Any, user_id: int, event_id: int) -> None:
    """Notes the event; of one who is no member too, lest an older one lets him in."""
    gone = {"rev": 0, "left_seq": conversation.last_seq, "left_at": func.now(), "event_id": event_id}
    row = upsert(Member).values(conversation_id=conversation.id, user_id=user_id, **gone)
    keys = ["conversation_id", "user_id"]
    await connection.execute(row.on_conflict_do_update(index_elements=keys, set_={"event_id": event_id}))


async def admit(
    connection: AsyncConnection, conversation_id: int, user_id: int, seen_event_id: int | None
) -> list[Push]:
    """Lets in one of whom the social service said so after the row was seen as it stood on that event.

    If the row changed since, the events know better. Raises NotMember, ConversationNotFound.
    """
    conversation = await lock_conversation(connection, conversation_id)
    row = await find_member(connection, conversation_id, user_id)
    if row and row.left_at is None:
        return []
    if conversation.dismissed_at or (row.event_id if row else None) != seen_event_id:
        raise NotMember
    return await set_member(connection, conversation, user_id, True, seen_event_id or 0)


async def complete(
    connection: AsyncConnection, conversation: Any, user_ids: Sequence[int], title: str
) -> tuple[Any, list[Push]]:
    """Adds those of a locked group conversation's members whom no event has told of; all are known from now on."""
    rev = conversation.rev + 1
    values = {**_joined(conversation), "conversation_id": conversation.id, "rev": rev, "joined_rev": rev}
    added: list[int] = []
    for start in range(0, len(user_ids), 1_000):
        rows = upsert(Member).values([{**values, "user_id": id} for id in user_ids[start : start + 1_000]])
        added += (await connection.execute(rows.on_conflict_do_nothing().returning(Member.user_id))).scalars()
    change = update(Conversation).where(Conversation.id == conversation.id)
    count = Conversation.member_count + len(added)
    change = change.values(rev=rev, member_count=count, complete=True, title=title or Conversation.title)
    after = (await connection.execute(change.returning(Conversation.__table__))).one()
    return after, [frames.conversation_added(after, id, after.last_seq) for id in added]


async def dismiss(connection: AsyncConnection, conversation: Any, event_id: int) -> list[Push]:
    """Everybody leaves a locked group conversation for good."""
    if conversation.dismissed_at:
        return []
    changes = {"rev": Conversation.rev + 1, "member_count": 0, "dismissed_at": func.now()}
    change = update(Conversation).where(Conversation.id == conversation.id).values(changes)
    after = (await connection.execute(change.returning(Conversation.__table__))).one()
    left = update(Member).where(Member.conversation_id == after.id, LIVE)
    left = left.values(left_at=func.now(), left_seq=after.last_seq, rev=after.rev, event_id=event_id)
    user_ids = (await connection.execute(left.returning(Member.user_id))).scalars().all()
    gone = [frames.conversation_left(after.id, after.rev, user_id) for user_id in user_ids]
    return [frames.conversation_changed(after), *gone]


async def leave_all(connection: AsyncConnection, user_id: int) -> list[Push]:
    """Of one whose account is gone."""
    mine = select(Member.conversation_id).where(Member.user_id == user_id, LIVE)
    locked = select(Conversation.id).where(Conversation.id.in_(mine)).order_by(Conversation.id).with_for_update()
    ids = (await connection.execute(locked)).scalars().all()
    counted = {"rev": Conversation.rev + 1, "member_count": Conversation.member_count - 1}
    await connection.execute(update(Conversation).where(Conversation.id.in_(ids)).values(counted))
    left = update(Member).where(Member.user_id == user_id, Member.conversation_id.in_(ids), LIVE)
    left = left.where(Conversation.id == Member.conversation_id)
    values = {"rev": Conversation.rev, "left_seq": Conversation.last_seq, "left_at": func.now(), "event_id": FOR_GOOD}
    rows = (await connection.execute(left.values(values).returning(Member.__table__))).all()
    gone = [frames.conversation_left(row.conversation_id, row.rev, user_id) for row in rows]
    return [*gone, *map(frames.member_changed, rows)]


async def make_direct(connection: AsyncConnection, new_id: int, low_id: int, high_id: int) -> tuple[Any, list[Push]]:
    """The two's conversation, made if there is none; whoever makes it at the same time gets the same."""
    pair = (Conversation.low_id == low_id, Conversation.high_id == high_id)
    row = upsert(Conversation).values(id=new_id, kind=0, low_id=low_id, high_id=high_id, member_count=2, complete=True)
    table = Conversation.__table__
    made = (await connection.execute(row.on_conflict_do_nothing().returning(*table.columns))).one_or_none()
    if made is None:
        return (await connection.execute(select(table).where(*pair))).one(), []
    both = [{"conversation_id": made.id, "user_id": id, "rev": 0} for id in (low_id, high_id)]
    await connection.execute(insert(Member).values(both))
    return made, [frames.conversation_added(made, id) for id in (low_id, high_id)]


async def save(connection: AsyncConnection, made: list[Push]) -> None:
    """For the relay: nobody publishes them otherwise."""
    await outbox.store(connection, made, grace=0)


async def live_among(connection: AsyncConnection, conversation_id: int, user_ids: Sequence[int]) -> Sequence[int]:
    query = select(Member.user_id).where(Member.conversation_id == literal(conversation_id), LIVE)
    return (await connection.execute(query.where(Member.user_id.in_(user_ids)))).scalars().all()
