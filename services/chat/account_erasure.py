"""Removes a deleted account from the chat: at once from its conversations and lists, then what the user wrote, and how
they reacted.

Messages are erased in small transactions, so that no conversation is locked for long, and erasure goes on after a
restart where it stopped. An erased message is as one that its sender recalled.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import structlog
from sqlalchemy import delete, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import SQLAlchemyError

from services.chat.away import devices
from services.chat.membership import marks, members
from services.chat.messages import COLUMNS, MessageKey
from services.chat.models import Conversation, ConversationMember, ErasedAccount, UserLastSeen
from services.chat.notifications import mutes, notifications
from services.chat.push import frames
from services.chat.push.frames import Push
from services.chat.push.outbox import Publisher
from services.chat.reactions import removal
from services.chat.sending import moderation, recalls
from services.kit.db import Database, after_commit
from services.kit.sql.connection import AsyncConnection

BATCH = 200  # messages per transaction
POLL_SECONDS = 30.0  # between looks for what another process left undone
Member = ConversationMember

WRITTEN = text(
    "SELECT seq FROM message WHERE conversation_id = :id AND sender_id = :user_id AND recalled_at IS NULL LIMIT :most"
)
RAISE_REV = text("UPDATE conversation SET rev = rev + :count WHERE id = :id RETURNING rev - :count")
ERASE = text(f"""UPDATE message SET rev = :rev + erased.place, body = NULL, size = 0, words = '', mentions = '{{}}',
 edited_at = NULL, recalled_at = date_trunc('milliseconds', now())
 FROM unnest(CAST(:seqs AS bigint[])) WITH ORDINALITY AS erased (seq, place)
 WHERE message.conversation_id = :id AND message.seq = erased.seq RETURNING {COLUMNS}""")  # noqa: S608

log = structlog.get_logger("account_erasure")


class AccountEraser:
    """Erases what the scheduled accounts wrote."""

    def __init__(self, database: Database, publisher: Publisher) -> None:
        self._database, self._publisher, self._scheduled = database, publisher, asyncio.Event()

    async def remove(self, connection: AsyncConnection, user_id: int) -> list[Push]:
        """Takes a deleted account out of all conversations, and schedules its messages; returns what to push."""
        pushes = await members.leave_all(connection, user_id)
        await marks.erase(connection, user_id)
        await notifications.erase_user(connection, user_id)
        await mutes.erase_user(connection, user_id)
        await devices.erase_user(connection, user_id)
        await moderation.forget_user(connection, user_id)
        await connection.execute(delete(UserLastSeen).where(UserLastSeen.user_id == user_id))
        await connection.execute(insert(ErasedAccount).values(user_id=user_id).on_conflict_do_nothing())
        after_commit(connection, self._scheduled.set)
        return pushes

    async def run(self) -> None:
        """Runs until it is cancelled."""
        while True:
            self._scheduled.clear()
            try:
                while await self.erase_batch():
                    pass
            except (SQLAlchemyError, OSError) as error:
                log.warning("account erasure waits", error=repr(error)[:200])
                await asyncio.sleep(1)
                continue
            with suppress(TimeoutError):
                await asyncio.wait_for(self._scheduled.wait(), POLL_SECONDS)

    async def erase_batch(self) -> bool:
        """Erases one batch of one account; False if none is left, or another process erases the only ones left."""
        async with self._database.transaction() as connection:
            oldest = select(ErasedAccount.__table__).order_by(ErasedAccount.created_at).limit(1)
            account = (await connection.execute(oldest.with_for_update(skip_locked=True))).one_or_none()
            if account is None:
                return False
            await self._publisher.store_for_relay(connection, await _erase_next(connection, account))
            return True


async def _erase_next(connection: AsyncConnection, account: Any) -> list[Push]:
    """Erases a batch in the account's next conversation, and returns what to push."""
    this = ErasedAccount.user_id == account.user_id
    following = (Member.user_id == account.user_id, Member.conversation_id > account.conversation_id)
    left = select(Member.conversation_id).where(*following, Member.left_at.is_not(None))  # all that they were in
    first = left.order_by(Member.conversation_id).limit(1)
    conversation_id = (await connection.execute(first)).scalar_one_or_none()
    if conversation_id is None:
        await connection.execute(delete(ErasedAccount).where(this))
        return []
    await connection.execute(select(Conversation.id).where(Conversation.id == conversation_id).with_for_update())
    pushes = await removal.take_back(connection, conversation_id, account.user_id, BATCH)
    rows = await _erase_messages(connection, conversation_id, account.user_id)
    if not pushes and len(rows) < BATCH:
        await connection.execute(update(ErasedAccount).where(this).values(conversation_id=conversation_id))
    return [*pushes, *map(frames.message_recalled, rows)]


async def _erase_messages(connection: AsyncConnection, conversation_id: int, user_id: int) -> Sequence[Any]:
    """At most BATCH of a locked conversation, each with a rev of its own: members who were away hear of each."""
    asked = {"id": conversation_id, "user_id": user_id, "most": BATCH}
    seqs = sorted((await connection.execute(WRITTEN, asked)).scalars())
    if not seqs:
        return []
    rev = (await connection.execute(RAISE_REV, {"id": conversation_id, "count": len(seqs)})).scalar_one()
    rows = (await connection.execute(ERASE, {"id": conversation_id, "rev": rev, "seqs": seqs})).all()
    await recalls.forget(connection, [MessageKey(conversation_id, seq) for seq in seqs])
    return sorted(rows, key=lambda row: row.rev)
