"""Edits and recalls: by the sender within a set time. Managers and the owner of a group may recall any message."""

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import text

from services.chat.errors import EditForbidden, MessageNotFound
from services.chat.membership import members
from services.chat.messages import COLUMNS, MessageKey
from services.chat.push import frames
from services.chat.push.frames import Push
from services.chat.push.outbox import Publisher
from services.chat.sending import recalls
from services.chat.sending.content import Body
from services.kit.context import Caller
from services.kit.sql.connection import AsyncConnection

FIND = text(f"""SELECT {COLUMNS}, message.body = CAST(:body AS jsonb) AS same FROM message
 WHERE conversation_id = :conversation_id AND seq = :seq""")  # noqa: S608
BUMP = text("UPDATE conversation SET rev = rev + 1 WHERE id = :id RETURNING rev")
EDIT = text(f"""UPDATE message SET rev = :rev, body = CAST(:body AS jsonb), size = :size,
 words = array_to_tsvector(string_to_array(:words, ' ')), edited_at = date_trunc('milliseconds', now())
 WHERE conversation_id = :conversation_id AND seq = :seq RETURNING {COLUMNS}""")  # noqa: S608
RECALL = text(f"""UPDATE message SET rev = :rev, body = NULL, size = 0, words = '', mentions = '{{}}',
 recalled_at = date_trunc('milliseconds', now())
 WHERE conversation_id = :conversation_id AND seq = :seq RETURNING {COLUMNS}""")  # noqa: S608


class Edits:
    def __init__(self, publisher: Publisher, seconds: int) -> None:
        """`seconds`: how long after a message was sent its sender may change it."""
        self._publisher, self._period = publisher, timedelta(seconds=seconds)

    async def edit(self, connection: AsyncConnection, caller: Caller, key: MessageKey, body: Body) -> int:
        """The message's new rev. The same body again changes nothing.

        Raises ConversationNotFound, MessageNotFound, EditForbidden.
        """
        membership = await members.require_member(connection, caller, key.conversation_id, lock=True)
        found = await _find(connection, membership, key, body)
        if found.sender_id != caller.user_id or found.recalled_at or self._is_old(found):
            raise EditForbidden
        if found.same:
            return int(found.rev)
        row = await _change(connection, EDIT, key, **body._asdict() | {"body": body.text})
        return await self._push(connection, frames.message_updated(row), row)

    async def recall(self, connection: AsyncConnection, caller: Caller, key: MessageKey, any_message: bool) -> int:
        """The message's rev, which does not change if it was recalled before. `any_message`: also another's, or an old
        one. Raises ConversationNotFound, MessageNotFound, EditForbidden."""
        membership = await members.require_member(connection, caller, key.conversation_id, lock=True)
        found = await _find(connection, membership, key)
        if not any_message and (found.sender_id != caller.user_id or self._is_old(found)):
            raise EditForbidden
        if found.recalled_at:
            return int(found.rev)
        row = await _change(connection, RECALL, key)
        await recalls.forget(connection, [key])
        return await self._push(connection, frames.message_recalled(row), row)

    async def _push(self, connection: AsyncConnection, push: Push, row: Any) -> int:
        await self._publisher.store(connection, [push])
        return int(row.rev)

    def _is_old(self, row: Any) -> bool:
        return bool(datetime.now(UTC) - row.created_at > self._period)


async def find_content_type(connection: AsyncConnection, caller: Caller, key: MessageKey) -> str:
    """The message's content type, which never changes. Raises ConversationNotFound, MessageNotFound."""
    membership = await members.require_member(connection, caller, key.conversation_id)
    return str((await _find(connection, membership, key)).content_type)


async def _find(connection: AsyncConnection, membership: Any, key: MessageKey, body: Body | None = None) -> Any:
    """Raises MessageNotFound, also for a message that was sent before the caller joined."""
    values = key._asdict() | {"body": body.text if body else None}
    row = (await connection.execute(FIND, values)).one_or_none()
    if row is None or key.seq <= membership.joined_seq:
        raise MessageNotFound
    return row


async def _change(connection: AsyncConnection, statement: Any, key: MessageKey, **values: Any) -> Any:
    rev = (await connection.execute(BUMP, {"id": key.conversation_id})).scalar_one()
    return (await connection.execute(statement, values | key._asdict() | {"rev": rev})).one()
