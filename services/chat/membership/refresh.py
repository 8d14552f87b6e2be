"""What the social service has just undone, or a joining, takes effect here at once; its event comes too, but only soon.

The gateway calls this before it answers who asked for the change. So nothing that is sent after that answer reaches
one who was removed, all of it reaches one who joined, and one who was blocked sends nothing.
"""

from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.chat.errors import NotMember
from services.chat.membership import members
from services.chat.models import Conversation, ConversationMember
from services.chat.push import frames, outbox
from services.chat.push.frames import Push
from services.chat.service import Service
from services.kit.context import Caller


async def recheck(service: Service, caller: Caller, group_id: int, user_id: int) -> None:
    """Lets the user out of the group's conversation, or in, as the social service has it; out everybody if none is
    named and the group is gone. Of no group: believes no more that the caller and the user are friends.

    Raises SocialUnavailable.
    """
    if not group_id:
        service.permits.friends.drop((caller.user_id, user_id), (user_id, caller.user_id))
    elif user_id:
        await _follow(service, group_id, user_id)
    elif not await service.rooms.has_group(group_id):
        service.permits.members.drop()
        async with service.database.transaction() as connection:
            made = await _dismiss(connection, group_id)
            ids = await outbox.store(connection, made)
        await service.publisher.publish_now(ids, made)


async def _follow(service: Service, group_id: int, user_id: int) -> None:
    mine = select(ConversationMember.conversation_id, ConversationMember.user_id, ConversationMember.event_id)
    mine = mine.join(Conversation, Conversation.id == ConversationMember.conversation_id)
    mine = mine.where(Conversation.group_id == group_id, ConversationMember.user_id == user_id)
    async with service.database.transaction() as connection:
        seen = (await connection.execute(mine)).one_or_none()
    try:
        await service.permits.require_member(user_id, group_id, fresh=True)
    except NotMember:
        service.permits.members.drop((group_id, user_id))
        if seen:
            await _expel(service, seen)
        return
    try:
        room = await service.rooms.of_group(user_id, group_id)
        await service.rooms.admit(room, user_id, seen.event_id if seen else None)
    except NotMember:  # again: the events know better by now
        service.permits.members.drop((group_id, user_id))


async def _expel(service: Service, seen: Any) -> None:
    """Unless the events let him in since he was seen: they know better."""
    async with service.database.transaction() as connection:
        conversation = await members.lock_conversation(connection, seen.conversation_id)
        row = await members.find_member(connection, conversation.id, seen.user_id)
        if row is None or (row.left_at is None and row.event_id != seen.event_id):
            return
        if row.left_at is not None:
            # By the event, whose push may still be on its way. Told under the lock, so that it cannot come after
            # that of his return.
            left = frames.conversation_left(conversation.id, row.rev, row.user_id)
            await service.publisher.publish_now([], [left])
            return
        made = await members.set_member(connection, conversation, seen.user_id, False, row.event_id)
        ids = await outbox.store(connection, made)
    await service.publisher.publish_now(ids, made)


async def _dismiss(connection: AsyncConnection, group_id: int) -> list[Push]:
    query = select(Conversation.__table__).where(Conversation.group_id == group_id).with_for_update()
    conversation: Any = (await connection.execute(query)).one_or_none()
    return await members.dismiss(connection, conversation, conversation.event_id) if conversation else []
