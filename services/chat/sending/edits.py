"""Changing what was sent: by its sender within a set time; recalling also by those who run the group."""

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.chat.errors import EditForbidden, MessageNotFound
from services.chat.membership import members
from services.chat.messages import COLUMNS
from services.chat.models import GROUP, MANAGER
from services.chat.push import frames, outbox
from services.chat.sending.content import Body, parse_body
from services.chat.service import Service
from services.kit.context import Caller

FIND = text(f"""SELECT {COLUMNS}, message.body = CAST(:body AS jsonb) AS same FROM message
 WHERE conversation_id = :conversation_id AND seq = :seq""")  # noqa: S608
BUMP = text("UPDATE conversation SET rev = rev + 1 WHERE id = :id RETURNING rev")
EDIT = text(f"""UPDATE message SET rev = :rev, body = CAST(:body AS jsonb), size = :size,
 words = array_to_tsvector(string_to_array(:words, ' ')), edited_at = date_trunc('milliseconds', now())
 WHERE conversation_id = :conversation_id AND seq = :seq RETURNING {COLUMNS}""")  # noqa: S608
RECALL = text(f"""UPDATE message SET rev = :rev, body = NULL, size = 0, words = '', mentions = '{{}}',
 recalled_at = date_trunc('milliseconds', now())
 WHERE conversation_id = :conversation_id AND seq = :seq RETURNING {COLUMNS}""")  # noqa: S608


async def edit(service: Service, caller: Caller, conversation_id: int, seq: int, body: bytes) -> int:
    """The message's new rev. The same body again changes nothing.

    Raises MessageInvalid, MessageTooLarge, ConversationNotFound, NotFriends, Blocked, MessageNotFound, EditForbidden,
    ObjectNotFound, SocialUnavailable, MediaUnavailable.
    """
    parsed = parse_body(body)
    await service.sending.require_writer(caller, ("conversation_id", conversation_id))
    async with service.database.transaction() as connection:
        place = await members.require_member(connection, caller, conversation_id)
        content_type = (await _find(connection, place, seq)).content_type  # which never changes
    parsed = await service.attachments.fill(content_type, parsed)
    async with service.database.transaction() as connection:
        place = await members.require_member(connection, caller, conversation_id, lock=True)
        found = await _find(connection, place, seq, parsed)
        if found.sender_id != caller.user_id or found.recalled_at or _is_old(service, found):
            raise EditForbidden
        if found.same:
            return int(found.rev)
        row = await _change(connection, EDIT, place, seq, **parsed._asdict() | {"body": parsed.text})
        push = [frames.message_updated(row)]
        ids = await outbox.store(connection, push)
    service.publisher.put(ids, push)
    return int(row.rev)


async def recall(service: Service, caller: Caller, conversation_id: int, seq: int) -> int:
    """The message's rev; it is recalled already if that was done before.

    Raises ConversationNotFound, MessageNotFound, EditForbidden, SocialUnavailable.
    """
    room = await service.rooms.get(conversation_id)
    runs_group = room.kind == GROUP and await service.sending.require_role(caller, room) >= MANAGER
    async with service.database.transaction() as connection:
        place = await members.require_member(connection, caller, conversation_id, lock=True)
        found = await _find(connection, place, seq)
        if not runs_group and (found.sender_id != caller.user_id or _is_old(service, found)):
            raise EditForbidden
        if found.recalled_at:
            return int(found.rev)
        row = await _change(connection, RECALL, place, seq)
        push = [frames.message_recalled(row)]
        ids = await outbox.store(connection, push)
    service.publisher.put(ids, push)
    return int(row.rev)


async def _find(connection: AsyncConnection, place: Any, seq: int, body: Body | None = None) -> Any:
    """Raises MessageNotFound, also for what was sent before the caller joined."""
    values = {"conversation_id": place.id, "seq": seq, "body": body.text if body else None}
    row = (await connection.execute(FIND, values)).one_or_none()
    if row is None or seq <= place.joined_seq:
        raise MessageNotFound
    return row


async def _change(connection: AsyncConnection, statement: Any, place: Any, seq: int, **values: Any) -> Any:
    rev = (await connection.execute(BUMP, {"id": place.id})).scalar_one()
    values |= {"conversation_id": place.id, "seq": seq, "rev": rev}
    return (await connection.execute(statement, values)).one()


def _is_old(service: Service, row: Any) -> bool:
    return bool(datetime.now(UTC) - row.created_at > timedelta(seconds=service.settings.edit_seconds))
