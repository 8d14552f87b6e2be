"""Marks: conversations that a member hides, mutes, pins or deletes for themselves (docs/contract/chat.md, "Who may
talk"). No other member learns of it, so it changes no rev of the conversation. `marks_rev` counts the changes of all of
a user's marks, for their other devices.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from sqlalchemy import Row, delete, func, select, text, update

from services.chat.errors import ConversationNotFound, MuteInvalid, PinLimitReached
from services.chat.membership import members
from services.chat.messages import is_hidden, is_muted
from services.chat.models import Conversation, ConversationMember, MarksRev
from services.chat.push import frames
from services.chat.push.frames import Push
from services.kit.context import Caller
from services.kit.pages import clamp
from services.kit.sql.connection import AsyncConnection

MAX_PINNED = 100  # conversations of one user
MAX_LIMIT = 500
LAST_TIME = datetime(9999, 1, 1, tzinfo=UTC)
# Changes of one user's marks take turns, so that marks_rev has no gap and no more are pinned than may be.
LOCK = text("""INSERT INTO marks_rev (user_id, rev) VALUES (:user_id, 0)
 ON CONFLICT (user_id) DO UPDATE SET rev = marks_rev.rev""")
COUNT = text("UPDATE marks_rev SET rev = rev + 1 WHERE user_id = :user_id RETURNING rev")

Member = ConversationMember


class Marked(NamedTuple):
    """A conversation, the caller's row in it, and what to push about it."""

    conversation: Any
    member: Any
    pushes: Sequence[Push] = ()


async def hide(connection: AsyncConnection, caller: Caller, conversation_id: int, hidden: bool) -> Marked:
    """Hides it until its next message, or ends that. Raises ConversationNotFound."""
    marked = await _lock(connection, caller, conversation_id)
    conversation, member, _ = marked
    if hidden == is_hidden(conversation, member):
        return marked
    return await _set(connection, marked, hidden_seq=conversation.last_seq if hidden else None)


async def mute(
    connection: AsyncConnection, caller: Caller, conversation_id: int, muted: bool, until: datetime | None
) -> Marked:
    """`until` None: without an end. Raises MuteInvalid for a time that is past, ConversationNotFound."""
    if muted and until and not datetime.now(UTC) < until < LAST_TIME:
        raise MuteInvalid
    marked = await _lock(connection, caller, conversation_id)
    wanted = (muted, until if muted else None)
    if wanted == (is_muted(marked.member), marked.member.muted_until if is_muted(marked.member) else None):
        return marked
    return await _set(connection, marked, muted=muted, muted_until=wanted[1])


async def pin(connection: AsyncConnection, caller: Caller, conversation_id: int, pinned: bool) -> Marked:
    """Raises PinLimitReached, ConversationNotFound."""
    marked = await _lock(connection, caller, conversation_id)
    if pinned == marked.member.pinned:
        return marked
    if pinned and await _count_pinned(connection, caller.user_id) >= MAX_PINNED:
        raise PinLimitReached
    return await _set(connection, marked, pinned=pinned)


async def delete_for_self(connection: AsyncConnection, caller: Caller, conversation_id: int) -> Marked:
    """The caller no longer sees the messages there are, nor the conversation until its next one. Nobody else notices.

    Raises ConversationNotFound.
    """
    await members.lock_conversation(connection, conversation_id)  # no message is written meanwhile
    marked = await _lock(connection, caller, conversation_id)
    conversation, member, _ = marked
    if member.joined_seq >= conversation.last_seq and is_hidden(conversation, member):
        return marked
    # joined_rev: a device that was away drops what it cached of the conversation.
    seen_from = {"joined_seq": conversation.last_seq, "joined_rev": conversation.rev}
    marked = await _set(connection, marked, **seen_from, hidden_seq=conversation.last_seq, pinned=False)
    return marked._replace(pushes=[frames.conversation_added(conversation, marked.member)])


async def list_marks(
    connection: AsyncConnection, caller: Caller, from_rev: int, limit: int
) -> tuple[Sequence[Row[Any]], int, int]:
    """Returns the changes after `from_rev`, the rev up to which they reach, and the user's rev."""
    latest = await connection.execute(select(MarksRev.rev).where(MarksRev.user_id == caller.user_id))
    rev = latest.scalar_one_or_none() or 0  # read first, so that a later change is told by its frame
    columns = (*Member.__table__.columns, Conversation.last_seq)
    query = select(*columns).join(Conversation, Conversation.id == Member.conversation_id)
    query = query.where(Member.user_id == caller.user_id, members.CURRENT, Member.marks_rev > max(from_rev, 0))
    limit = clamp(limit, MAX_LIMIT)
    query = query.where(Member.marks_rev > 0, Member.marks_rev <= rev).order_by(Member.marks_rev).limit(limit)
    rows = (await connection.execute(query)).all()
    return rows, rows[-1].marks_rev if len(rows) == limit else rev, rev


async def erase(connection: AsyncConnection, user_id: int) -> None:
    await connection.execute(delete(MarksRev).where(MarksRev.user_id == user_id))
    unset = {"hidden_seq": None, "pinned": False, "muted": False, "muted_until": None, "marks_rev": 0}
    await connection.execute(update(Member).where(Member.user_id == user_id, Member.marks_rev > 0).values(unset))


async def _lock(connection: AsyncConnection, caller: Caller, conversation_id: int) -> Marked:
    """Locks the caller's marks. Raises ConversationNotFound."""
    await members.require_member(connection, caller, conversation_id)
    await connection.execute(LOCK, {"user_id": caller.user_id})
    member: Any = await members.find_member(connection, conversation_id, caller.user_id)
    if member.left_at:
        raise ConversationNotFound
    query = select(Conversation.__table__).where(Conversation.id == conversation_id)
    return Marked((await connection.execute(query)).one(), member)


async def _set(connection: AsyncConnection, marked: Marked, **values: Any) -> Marked:
    key = (Member.conversation_id == marked.conversation.id, Member.user_id == marked.member.user_id)
    rev = (await connection.execute(COUNT, {"user_id": marked.member.user_id})).scalar_one()
    changed = update(Member).where(*key).values(**values, marks_rev=rev).returning(Member.__table__)
    member = (await connection.execute(changed)).one()
    return Marked(marked.conversation, member, [frames.mark_changed(marked.conversation, member)])


async def _count_pinned(connection: AsyncConnection, user_id: int) -> int:
    query = select(func.count()).select_from(Member).where(Member.user_id == user_id, members.CURRENT, Member.pinned)
    return (await connection.execute(query.where(Member.marks_rev > 0))).scalar_one()
